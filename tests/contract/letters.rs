//! Dead letters.

use carillon_core::delivery::{DeadLetter, DeadLetterContent, Delivery};
use carillon_core::envelope::open_deliveries;
use carillon_core::event::{Product, Timestamp};
use carillon_core::ports::{
    DeadLetterAdmin, DeadLetterStore, KeptDeadLetter, Page, Selection, Stage, StoreError,
};
use carillon_core::rule::RuleName;
use carillon_core::topic::{SubscriptionName, TopicName};
use serde_json::json;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Takes so many messages out of the queue of a stage.
pub type Take =
    Arc<dyn Fn(Stage, usize) -> Pin<Box<dyn Future<Output = Vec<String>> + Send>> + Send + Sync>;

/// Fresh ports over an empty backend.
#[derive(Clone)]
pub struct Ports {
    /// Keeps letters.
    pub store: Arc<dyn DeadLetterStore>,
    /// Shows, deletes and sends them again.
    pub admin: Arc<dyn DeadLetterAdmin>,
    /// What was sent again.
    pub take: Take,
    /// Kept until the case ends.
    pub keep: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

const BEGAN: i64 = 1_700_000_000_000;

fn at(number: i64) -> Timestamp {
    Timestamp::from_millis(BEGAN + number)
}

fn record(number: i64, stage: &str, body: &str) -> DeadLetter {
    DeadLetter {
        at: at(number),
        reason: format!("reason {number}"),
        content: DeadLetterContent::Record {
            stage: stage.into(),
            body: body.into(),
        },
    }
}

fn delivery(number: i64, rule: &str) -> DeadLetter {
    let delivery: Delivery = serde_json::from_value(json!({
        "topic": format!("topic-{rule}"), "subscription": format!("sub-{rule}"), "version": 7, "attempts": 4, "resends": 5,
        "notification": {
            "message_id": format!("{number:032X}"), "product": "oss", "rule": rule, "event_type": "ObjectCreated:PutObject",
            "resource": "b/k", "body": format!("body \u{e9} {number}"), "published": BEGAN - 5000,
        },
        "history": [{"at": BEGAN - 4000, "took_ms": 12, "class": "retry", "status": 503, "detail": "down"}],
    }))
    .unwrap();
    DeadLetter {
        at: at(number),
        reason: "no attempt succeeded".into(),
        content: DeadLetterContent::Delivery(Box::new(delivery)),
    }
}

fn rule(name: &str) -> Selection {
    Selection {
        rule: Some(RuleName::parse(name).unwrap()),
        ..Selection::default()
    }
}

impl Ports {
    async fn keep(&self, letters: &[DeadLetter]) {
        // One by one, so that the order of keeping is that of their times.
        for letter in letters {
            self.store.put(vec![letter.clone()]).await.unwrap();
        }
    }

    async fn page(
        &self,
        selection: &Selection,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Page<KeptDeadLetter>, StoreError> {
        self.admin.list(selection, from, limit).await
    }

    /// All letters of a selection, read in pages of `limit`.
    async fn all(&self, selection: &Selection, limit: usize) -> Vec<KeptDeadLetter> {
        let mut all = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let page = self.page(selection, from.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit);
            all.extend(page.items);
            match page.next {
                Some(next) => from = Some(next),
                None => return all,
            }
        }
    }

    async fn times(&self, selection: &Selection) -> Vec<i64> {
        let all = self.all(selection, 100).await;
        let times = all.iter().map(|kept| kept.letter.at.as_millis() - BEGAN);
        times.collect()
    }
}

/// Every member of them, in pages of every size.
pub async fn letters_are_kept_whole_and_listed_newest_first(ports: Ports) {
    assert_eq!(ports.all(&Selection::default(), 10).await, []);
    let mut letters = vec![
        record(1, "ingest", "no event \u{fffd} \u{1F600}"),
        delivery(2, "one"),
        record(3, "match", "{}"),
        delivery(4, "two"),
        record(5, "deliver", "[]"),
    ];
    ports.keep(&letters).await;
    letters.reverse();
    for limit in [1, 2, 5, 100] {
        let all = ports.all(&Selection::default(), limit).await;
        let held: Vec<DeadLetter> = all.into_iter().map(|kept| kept.letter).collect();
        assert_eq!(held, letters, "{limit} to a page");
    }
}

/// More than a request of any backend takes, and large ones, in one go.
pub async fn many_letters_at_once(ports: Ports) {
    let body = "x".repeat(60_000);
    let letters: Vec<DeadLetter> = (0..60)
        .map(|number| record(number, "ingest", &format!("{number} {body}")))
        .collect();
    ports.store.put(letters.clone()).await.unwrap();
    ports.store.put(Vec::new()).await.unwrap();
    for limit in [7, 100] {
        let all = ports.all(&Selection::default(), limit).await;
        let mut held: Vec<DeadLetter> = all.into_iter().map(|kept| kept.letter).collect();
        held.sort_by_key(|letter| letter.at);
        assert!(held == letters, "{} letters came back", held.len());
    }
}

/// Whatever is asked for must hold; a record has neither rule nor topic.
pub async fn selections_narrow_the_list(ports: Ports) {
    let letters: Vec<DeadLetter> = (0..12)
        .map(|number| match number % 3 {
            0 => record(number, "ingest", "?"),
            1 => delivery(number, "one"),
            _ => delivery(number, "two"),
        })
        .collect();
    ports.keep(&letters).await;
    assert_eq!(ports.times(&rule("one")).await, [10, 7, 4, 1]);
    assert_eq!(ports.times(&rule("none")).await, [0; 0]);
    let of = |selection: Selection| {
        let ports = ports.clone();
        async move { ports.times(&selection).await }
    };
    let topic = Selection {
        topic: Some(TopicName::parse("topic-two").unwrap()),
        ..Selection::default()
    };
    assert_eq!(of(topic).await, [11, 8, 5, 2]);
    let subscription = Selection {
        subscription: Some(SubscriptionName::parse("sub-one").unwrap()),
        since: Some(at(4)),
        until: Some(at(10)),
        ..Selection::default()
    };
    assert_eq!(of(subscription).await, [7, 4]);
    let product = Selection {
        product: Some(Product::Oss),
        since: Some(at(9)),
        ..Selection::default()
    };
    assert_eq!(of(product).await, [11, 10]);
    let window = Selection {
        since: Some(at(2)),
        until: Some(at(4)),
        ..Selection::default()
    };
    assert_eq!(of(window).await, [3, 2]);
    let nothing = Selection {
        since: Some(at(4)),
        until: Some(at(4)),
        ..Selection::default()
    };
    assert_eq!(of(nothing).await, [0; 0]);
    // A page of a narrow selection is full as long as there are letters.
    for limit in [1, 3, 4] {
        assert_eq!(ports.all(&rule("two"), limit).await.len(), 4);
    }
    assert_eq!(ports.page(&rule("two"), None, 4).await.unwrap().next, None);
}

/// By the id that the list gave.
pub async fn letters_are_looked_at_and_deleted_by_their_ids(ports: Ports) {
    ports
        .keep(&[record(1, "match", "a"), delivery(2, "one")])
        .await;
    let all = ports.all(&Selection::default(), 10).await;
    for kept in &all {
        let form = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(kept.id.chars().all(form), "{}", kept.id);
        assert_eq!(
            ports.admin.get(&kept.id).await.unwrap().as_ref(),
            Some(kept)
        );
    }
    for unknown in ["", "nothing", "-", "\u{e9}", "99999999999999999999"] {
        assert_eq!(ports.admin.get(unknown).await, Ok(None), "{unknown:?}");
        assert_eq!(ports.admin.delete(&[unknown.into()]).await, Ok(0));
    }
    let ids = [all[0].id.clone(), "nothing".into()];
    assert_eq!(ports.admin.delete(&ids).await, Ok(1));
    assert_eq!(ports.admin.delete(&ids).await, Ok(0));
    assert_eq!(ports.admin.get(&all[0].id).await, Ok(None));
    assert_eq!(ports.all(&Selection::default(), 10).await, all[1..]);
}

/// A delivery with its attempts begun anew, a record byte for byte to the stage that refused it.
pub async fn what_is_sent_again_is_gone(ports: Ports) {
    let refused = "{\"v\":1, \"no\": \"pack \u{e9}\"}";
    let letters = [
        record(1, "ingest", "raw"),
        record(2, "match", refused),
        delivery(3, "one"),
        delivery(4, "two"),
    ];
    ports.keep(&letters).await;
    let all = ports.all(&Selection::default(), 10).await;
    // All but the newest, and one that is not there.
    let mut ids: Vec<String> = all[1..].iter().map(|kept| kept.id.clone()).collect();
    ids.push("nothing".into());
    assert_eq!(ports.admin.redrive(&ids).await, Ok(3));
    assert_eq!(ports.all(&Selection::default(), 10).await, all[..1]);
    assert_eq!((ports.take)(Stage::Ingest, 1).await, ["raw"]);
    assert_eq!((ports.take)(Stage::Match, 1).await, [refused]);
    let [sent] = &(ports.take)(Stage::Deliver, 1).await[..] else {
        panic!("one message was sent")
    };
    let [sent] = &open_deliveries(sent).unwrap()[..] else {
        panic!("one delivery was sent")
    };
    let DeadLetterContent::Delivery(kept) = &all[1].letter.content else {
        panic!("the third letter is a delivery")
    };
    assert_eq!(sent.notification, kept.notification);
    assert_eq!((sent.attempts, sent.history.len(), sent.resends), (0, 0, 0));
    assert!(sent.redriven.is_some());
    assert_eq!(ports.admin.redrive(&ids).await, Ok(0));
}

/// With words for whoever gave it.
pub async fn a_place_of_no_page_is_refused(ports: Ports) {
    ports.keep(&[record(1, "ingest", "a")]).await;
    for from in ["", "nowhere", "-", "\u{e9}"] {
        let page = ports.page(&Selection::default(), Some(from), 10).await;
        assert!(page.is_err(), "{from:?}: {page:?}");
    }
}

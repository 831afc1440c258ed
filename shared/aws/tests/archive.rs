//! The archive of events in a bucket, against doubles of S3 and SQS in this process: they speak as much of either as the
//! archive asks for. The same cases run against an emulator with `make test-cloud`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod double;

use carillon_aws::{Clients, EventBucket, StageQueues, StageUrls};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, EventArchive as _, OutgoingMessage, Stage, StageSender as _};
use carillon_tests::contract::archive::Ports;
use double::Double;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

struct StoppedClock(AtomicI64);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn bucket(double: &Double) -> (EventBucket, Arc<StoppedClock>) {
    let url = double.url();
    let clients = std::thread::spawn({
        let url = url.clone();
        move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(Clients::connect_to(&url))
        }
    });
    let clients = clients.join().unwrap();
    let queue = |name: &str| Some(format!("{url}/000000000000/{name}"));
    let urls = StageUrls {
        ingest: queue("ingest"),
        r#match: queue("match"),
        deliver: queue("deliver"),
    };
    let clock = Arc::new(StoppedClock(AtomicI64::new(1_700_000_000_000)));
    let stages = StageQueues::new(&clients, urls);
    let bucket = EventBucket::new(&clients, "history", stages, clock.clone());
    (bucket, clock)
}

fn ports() -> Ports {
    let double = Double::start();
    let (bucket, clock) = bucket(&double);
    let bucket = Arc::new(bucket);
    Ports {
        stages: bucket.clone(),
        archive: bucket,
        clock: clock.clone(),
        pass: Arc::new(move |time| {
            let by = i64::try_from(time.as_millis()).unwrap();
            clock.0.fetch_add(by, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        }),
        keep: Some(Arc::new(double)),
    }
}

carillon_tests::archive_contract!(ports);

fn packs(count: usize, size: usize) -> Vec<OutgoingMessage> {
    (0..count)
        .map(|number| OutgoingMessage::new(format!("{number}{}", "x".repeat(size))))
        .collect()
}

#[tokio::test]
async fn a_batch_is_one_object_written_before_the_queue_is() {
    let double = Double::start();
    let (bucket, _) = bucket(&double);
    let results = bucket.send(Stage::Match, packs(25, 10)).await;
    assert_eq!(results, vec![Ok(()); 25]);
    let log = double.log();
    assert!(
        log[0].starts_with("PUT /history/events/2023/11/14/22/1700000000000-"),
        "{log:?}"
    );
    assert_eq!(log.iter().filter(|line| line.starts_with("PUT")).count(), 1);
    assert!(log[1..].iter().all(|line| line == "POST match"), "{log:?}");

    bucket.send_again(vec!["again".to_owned()]).await;
    assert_eq!(double.log().last().unwrap(), "POST match");
    assert_eq!(double.objects(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_accepted() {
    let double = Double::start();
    let (bucket, _) = bucket(&double);
    double.refuse(true);
    let results = bucket.send(Stage::Match, packs(3, 10)).await;
    for result in results {
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("archive of events (bucket \"history\")"),
            "{error}"
        );
        assert!(error.contains("AccessDenied"), "{error}");
    }
    assert!(!double.log().contains(&"POST match".to_owned()));
    // The other stages need no archive.
    assert_eq!(bucket.send(Stage::Deliver, packs(1, 1)).await, [Ok(())]);
    assert!(bucket.oldest().await.is_err());
    double.refuse(false);
    assert_eq!(
        bucket.send(Stage::Match, packs(3, 10)).await,
        vec![Ok(()); 3]
    );
}

#[tokio::test]
async fn a_large_batch_is_several_objects_and_loses_no_order() {
    let double = Double::start();
    let (bucket, clock) = bucket(&double);
    let sent = packs(40, 300_000);
    let texts: Vec<String> = sent.iter().map(|pack| pack.body.clone()).collect();
    assert_eq!(bucket.send(Stage::Match, sent).await, vec![Ok(()); 40]);
    assert_eq!(double.objects(), 2);
    let page = bucket
        .packs(
            clock.now(),
            Timestamp::from_millis(clock.now().as_millis() + 1),
            None,
            10,
        )
        .await
        .unwrap();
    let mut kept: Vec<String> = page.items.into_iter().map(|pack| pack.message).collect();
    kept.sort_by_key(|text| text.trim_end_matches('x').parse::<u32>().unwrap());
    assert_eq!(kept, texts);
}

#[tokio::test]
async fn what_others_put_into_the_bucket_is_passed_over_and_what_is_damaged_is_named() {
    let double = Double::start();
    let (bucket, clock) = bucket(&double);
    bucket.send(Stage::Match, packs(1, 1)).await;
    for number in 0..20 {
        double.put(&format!("events/2023/notes-{number}.txt"), b"notes");
    }
    let (since, until) = (
        Timestamp::default(),
        clock.now().plus(std::time::Duration::from_secs(1)),
    );
    let first = bucket.packs(since, until, None, 2).await.unwrap();
    assert_eq!(first.items.len(), 1);
    // There is more in the bucket, if nothing of ours.
    let rest = bucket.packs(since, until, first.next.as_deref(), 2).await;
    assert_eq!(rest.map(|page| (page.items, page.next)), Ok((vec![], None)));
    assert_eq!(bucket.oldest().await.unwrap(), Some(clock.now()));

    let damaged = "events/2023/11/14/22/1700000000000-FFFFFFFFFFFFFFFF.jsonl.gz";
    double.put(damaged, b"no gzip");
    let error = bucket.packs(since, until, None, 9).await.unwrap_err();
    assert!(error.to_string().contains(damaged), "{error}");
}

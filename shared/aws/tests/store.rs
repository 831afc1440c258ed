//! Commits whose answers get lost, and commits larger than a transaction, on a double of DynamoDB.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, DynamoRules};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Change, CommitError, RuleStore as _};
use carillon_core::topic::{Topic, TopicName};
use double::{Double, Verdict};
use serde_json::json;

fn put(name: &str) -> Change {
    Change::PutTopic(Topic {
        name: TopicName::parse(name).unwrap(),
        made_for: None,
        created: Timestamp::from_millis(1),
        modified: Timestamp::from_millis(1),
        max_message_size: Topic::MAX_MESSAGE_SIZE,
        logging: false,
    })
}

async fn rules(double: &Double) -> DynamoRules {
    DynamoRules::new(&Clients::connect_to(&double.url).await, "t")
}

async fn names(rules: &DynamoRules) -> Vec<String> {
    let records = rules.load().await.unwrap();
    let names = records.topics.iter();
    names.map(|topic| topic.name.to_string()).collect()
}

/// Somebody else's commit on top of what stands.
fn moves_on(items: &mut double::Items) {
    let head = items
        .get_mut(&("version".to_owned(), "version".to_owned()))
        .unwrap();
    let version: u64 = head["v"]["N"].as_str().unwrap().parse().unwrap();
    head["v"] = json!({"N": (version + 1).to_string()});
    head["by"] = json!({"S": "somebody-else"});
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_stands_even_when_others_came_after_it() {
    for others in [0, 1, 3] {
        let double = Double::start();
        let rules = rules(&double).await;
        let (mut first, mut to_come) = (true, others);
        double.script(move |operation, _, items| {
            // The others commit as soon as the first transaction has taken effect.
            let stands = items.contains_key(&("topics".to_owned(), "a".to_owned()));
            while stands && to_come > 0 {
                to_come -= 1;
                moves_on(items);
            }
            if operation == "TransactWriteItems" && std::mem::take(&mut first) {
                return Verdict::LoseAnswer;
            }
            Verdict::Go
        });
        assert_eq!(rules.commit(0, vec![put("a")]).await, Ok(1), "{others}");
        assert_eq!(names(&rules).await, ["a"]);
        assert_eq!(rules.version().await.unwrap(), 1 + others);
    }
}

#[tokio::test]
async fn a_commit_that_never_took_effect_is_moved_when_another_came_first() {
    let double = Double::start();
    let rules = rules(&double).await;
    rules.commit(0, vec![put("a")]).await.unwrap();
    let mut first = true;
    double.script(move |operation, _, items| {
        if operation == "TransactWriteItems" && std::mem::take(&mut first) {
            moves_on(items);
            return Verdict::Answer(500, json!({"__type": "InternalServerError"}).to_string());
        }
        Verdict::Go
    });
    let outcome = rules.commit(1, vec![put("b")]).await;
    assert!(matches!(outcome, Err(CommitError::Moved(2))), "{outcome:?}");
    assert_eq!(names(&rules).await, ["a"]);
}

fn many(count: usize) -> (Vec<Change>, Vec<String>) {
    let names: Vec<String> = (0..count).map(|n| format!("t{n:04}")).collect();
    (names.iter().map(|name| put(name)).collect(), names)
}

#[tokio::test]
async fn commits_of_every_size_round_that_of_a_transaction_are_whole() {
    for count in [1, 97, 98, 99, 100, 101, 250] {
        let double = Double::start();
        let rules = rules(&double).await;
        let (changes, want) = many(count);
        assert_eq!(rules.commit(0, changes).await, Ok(1), "{count}");
        assert_eq!(names(&rules).await, want);
        // Nothing of a journal is left, and the next commit finds nothing pending.
        let keys: Vec<_> = double.state.lock().unwrap().items.keys().cloned().collect();
        assert!(keys.iter().all(|(pk, _)| !pk.starts_with("journal#")));
        assert_eq!(rules.commit(1, vec![put("z")]).await, Ok(2));
    }
}

#[tokio::test]
async fn a_large_commit_cut_off_anywhere_stands_whole_or_not_at_all() {
    // How many requests the whole takes.
    let double = Double::start();
    rules(&double).await.commit(0, many(150).0).await.unwrap();
    let requests = double.state.lock().unwrap().seen.len();
    assert!(requests > 5);
    for cut in 0..requests {
        let double = Double::start();
        let mut seen = 0;
        // From here on the process hears nothing, as if it were dead.
        double.script(move |_, _, _| {
            seen += 1;
            if seen > cut {
                return Verdict::Answer(
                    400,
                    json!({"__type": "AccessDeniedException"}).to_string(),
                );
            }
            Verdict::Go
        });
        let outcome = rules(&double).await.commit(0, many(150).0).await;
        double.script(|_, _, _| Verdict::Go);
        // Another process reads all of it or nothing, writes the rest out, and commits on top.
        let other = rules(&double).await;
        let version = other.version().await.unwrap();
        let held = names(&other).await;
        assert_eq!(
            held.len(),
            if version == 1 { 150 } else { 0 },
            "cut at {cut}"
        );
        if outcome.is_ok() {
            assert_eq!(version, 1, "cut at {cut}");
        }
        assert_eq!(other.commit(version, vec![put("z")]).await, Ok(version + 1));
        let after = names(&other).await;
        assert_eq!(after.len(), held.len() + 1, "cut at {cut}");
        let state = double.state.lock().unwrap();
        let head = &state.items[&("version".to_owned(), "version".to_owned())];
        assert!(head.get("journal").is_none(), "cut at {cut}");
    }
}

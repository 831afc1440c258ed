//! Dead letters and deliveries through the management API.

mod support;

use carillon_core::delivery::{DeadLetter, DeadLetterContent};
use carillon_core::event::Timestamp;
use carillon_core::ports::KeptDeadLetter;
use carillon_manage::Settings;
use support::{NOON, world};

fn letters(count: usize) -> Vec<KeptDeadLetter> {
    let letter = |id: usize| KeptDeadLetter {
        id: id.to_string(),
        letter: DeadLetter {
            at: Timestamp::from_millis(NOON),
            reason: "not JSON".to_owned(),
            content: DeadLetterContent::Record {
                stage: "ingest".to_owned(),
                body: "x".to_owned(),
            },
        },
    };
    (0..count).rev().map(letter).collect()
}

#[tokio::test]
async fn a_whole_selection_is_moved_page_by_page() {
    let world = world(Settings::default());
    *world.dead.letters.lock().unwrap() = letters(250);
    let moved = world
        .act("RedriveDeadLetters", &[("All", "True")])
        .await
        .data();
    assert_eq!(moved["Redriven"], 250);
    assert_eq!(world.dead.redriven.lock().unwrap().len(), 250);
    assert!(world.dead.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_moved_that_was_not_named() {
    let world = world(Settings::default());
    *world.dead.letters.lock().unwrap() = letters(3);
    for (action, parameters) in [
        ("RedriveDeadLetters", vec![]),
        ("DeleteDeadLetters", vec![]),
        ("DeleteDeadLetters", vec![("All", "false")]),
        (
            "DeleteDeadLetters",
            vec![("Ids", r#"["1"]"#), ("All", "true")],
        ),
        ("DeleteDeadLetters", vec![("RuleName", "not a name")]),
    ] {
        let refused = world.act(action, &parameters).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "InvalidArgument"),
            "{parameters:?}"
        );
    }
    assert_eq!(
        world
            .act("DeleteDeadLetters", &[("RuleName", "other")])
            .await
            .data()["Deleted"],
        0
    );
    assert_eq!(
        world
            .act("DeleteDeadLetters", &[("Ids", "1,2")])
            .await
            .data()["Deleted"],
        2
    );
    assert_eq!(world.dead.letters.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_time_may_be_said_as_how_long_ago() {
    let world = world(Settings::default());
    *world.dead.letters.lock().unwrap() = letters(3);
    world.clock.advance(2 * 3_600_000);
    let deleted = async |window: (&'static str, &'static str)| {
        let done = world.act("DeleteDeadLetters", &[window]).await;
        done.data()["Deleted"].clone()
    };
    assert_eq!(deleted(("Since", "119m")).await, 0);
    assert_eq!(deleted(("Until", "3h")).await, 0);
    assert_eq!(deleted(("Until", "90m")).await, 3);
    for action in ["ListDeadLetters", "ListDeliveries"] {
        let refused = world.act(action, &[("Since", "soon")]).await;
        assert!(
            refused.body.contains("say how long ago"),
            "{}",
            refused.body
        );
    }
}

#[tokio::test]
async fn tokens_lead_through_the_list_and_a_wrong_one_is_refused() {
    let world = world(Settings::default());
    *world.dead.letters.lock().unwrap() = letters(25);
    let mut seen = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut parameters = vec![("MaxResults", "10")];
        parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
        let data = world.act("ListDeadLetters", &parameters).await.data();
        seen.extend(
            data["PageData"]
                .as_array()
                .unwrap()
                .iter()
                .map(|letter| letter["Id"].clone()),
        );
        match data["NextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    let spoiled = token.unwrap() + "1";
    for token in [spoiled.as_str(), "x", "10"] {
        for action in ["ListDeadLetters", "ListDeliveries"] {
            let refused = world.act(action, &[("NextToken", token)]).await;
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "InvalidArgument"),
                "{token}"
            );
        }
    }
}

#[tokio::test]
async fn a_rate_that_is_set_is_held() {
    let world = world(Settings {
        max_requests_per_second: Some(5),
        ..Settings::default()
    });
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(world.act("ListQueue", &[]).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    let refused = world.http("GET", "/queues", &[], "").await;
    assert!(
        refused.status == 429 && refused.body.contains("<Code>TooManyRequests</Code>"),
        "{}",
        refused.body
    );
    assert_eq!(world.http("GET", "/healthz", &[], "").await.status, 200);
    world.clock.advance(1000);
    assert_eq!(world.act("ListQueue", &[]).await.status, 200);
}

//! Replay and preview over the history of events, against a model that judges each event by hand.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_core::event::{Body, Event, EventId, EventType, IdentityHasher, Product, Timestamp};
use carillon_core::rule::{Rule, RuleSpec};
use carillon_manage::{Overlap, Settings};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use support::{NOON, World, world};

fn event(number: usize, product: Product, event_type: &str, resource: &str) -> Event {
    Event {
        product,
        event_type: EventType::parse(event_type).unwrap(),
        resource: resource.to_owned(),
        time: Timestamp::from_millis(NOON - 1_000 + number as i64),
        id: IdentityHasher::new("test")
            .part(&number.to_string())
            .finish(),
        body: Body::Plain("x".to_owned()),
    }
}

async fn page(world: &World, parameters: &[(&str, &str)]) -> Value {
    world.act("ReplayEvents", parameters).await.data()
}

/// All pages of a replay; gives the counts of events looked at and replayed.
async fn replay(world: &World, parameters: &[(&str, &str)], most: &str) -> (u64, u64) {
    let (mut looked_at, mut replayed) = (0, 0);
    let mut token: Option<String> = None;
    loop {
        let mut parameters = parameters.to_vec();
        parameters.push(("MaxEvents", most));
        if let Some(token) = &token {
            parameters.retain(|(name, _)| *name != "Since" && *name != "Until");
            parameters.push(("NextToken", token));
        }
        let data = page(world, &parameters).await;
        looked_at += data["Events"].as_u64().unwrap();
        replayed += data["Replayed"].as_u64().unwrap();
        match data["NextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => return (looked_at, replayed),
        }
    }
}

fn ids(world: &World) -> Vec<EventId> {
    let packs = world.archive.sent();
    packs
        .iter()
        .flat_map(|pack| &pack.events)
        .map(|event| event.id)
        .collect()
}

#[tokio::test]
async fn without_a_rule_the_packs_themselves_are_sent_again() {
    let world = world(Settings::default());
    let events: Vec<Event> = (0..10)
        .map(|n| event(n, Product::Oss, "A:B", "bucket/key"))
        .collect();
    for (number, pair) in events.chunks(2).enumerate() {
        world
            .archive
            .keep(Timestamp::from_millis(NOON - 100 + number as i64), pair);
    }
    assert_eq!(replay(&world, &[("Since", "1h")], "3").await, (10, 10));
    let sent = world.archive.sent();
    assert!(sent.iter().all(|pack| pack.only.is_none()));
    let again: Vec<Event> = sent.into_iter().flat_map(|pack| pack.events).collect();
    assert_eq!(again, events, "in order, with the ids they had");

    let dry = replay(&world, &[("Since", "1h"), ("DryRun", "True")], "100").await;
    assert_eq!((dry, ids(&world)), ((10, 10), Vec::new()));
}

#[tokio::test]
async fn a_page_is_bounded_and_its_token_keeps_the_window() {
    let world = world(Settings::default());
    for number in 0..50 {
        let one = event(number, Product::Oss, "A:B", "bucket/key");
        let at = Timestamp::from_millis(NOON - 50 + number as i64);
        world.archive.keep(at, &[one]);
    }
    let first = page(&world, &[("Since", "1h"), ("MaxEvents", "20")]).await;
    assert_eq!(first["Events"], 20);
    // What is accepted after the replay began is no part of it, however long it takes.
    world.clock.advance(10_000);
    let late = event(99, Product::Oss, "A:B", "bucket/key");
    world
        .archive
        .keep(Timestamp::from_millis(NOON + 5_000), &[late]);
    let token = first["NextToken"].as_str().unwrap();
    let rest = page(&world, &[("NextToken", token), ("MaxEvents", "1000")]).await;
    assert_eq!(rest["Events"], 30);
    assert_eq!(rest["NextToken"], Value::Null);
    assert_eq!(rest["Until"], first["Until"]);
    assert_eq!(ids(&world).len(), 50);
}

#[tokio::test]
async fn what_is_not_taken_is_an_error_and_the_same_page_can_be_asked_again() {
    let world = world(Settings::default());
    let one = event(1, Product::Oss, "A:B", "bucket/key");
    world
        .archive
        .keep(Timestamp::from_millis(NOON - 1), std::slice::from_ref(&one));
    world.archive.full.store(true, Ordering::SeqCst);
    let refused = world.act("ReplayEvents", &[("Since", "1h")]).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "ServiceUnavailable")
    );
    assert!(refused.message().contains("full"), "{}", refused.message());
    world.archive.full.store(false, Ordering::SeqCst);
    assert_eq!(replay(&world, &[("Since", "1h")], "1").await, (1, 1));
    assert_eq!(ids(&world), [one.id]);
}

#[tokio::test]
async fn a_pack_that_cannot_be_read_is_counted_and_holds_up_nothing() {
    let world = world(Settings::default());
    let at = Timestamp::from_millis(NOON - 1);
    world
        .archive
        .keep_text(at, r#"{"v":2,"items":"of another release"}"#.to_owned());
    world
        .archive
        .keep(at, &[event(1, Product::Oss, "A:B", "bucket/key")]);
    let data = page(&world, &[("Since", "1h")]).await;
    assert_eq!(
        (&data["Replayed"], &data["Unreadable"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn buckets_and_products_narrow() {
    let world = world(Settings::default());
    let events = [
        event(0, Product::Oss, "A:B", "photos"),
        event(1, Product::Oss, "A:B", "photos/a"),
        event(2, Product::Oss, "A:B", "photos-of-others/a"),
        event(3, Product::Own("sensors".into()), "A:B", "photos/a"),
    ];
    world
        .archive
        .keep(Timestamp::from_millis(NOON - 1), &events);
    for (parameters, expected) in [
        (vec![("ResourceName", "photos")], vec![0, 1, 3]),
        (vec![("ProductName", "oss")], vec![0, 1, 2]),
        (
            vec![("ResourceName", "photos"), ("ProductName", "sensors")],
            vec![3],
        ),
        (vec![("ResourceName", "none")], vec![]),
    ] {
        let mut all = vec![("Since", "1h")];
        all.extend(&parameters);
        assert_eq!(
            replay(&world, &all, "100").await,
            (4, expected.len() as u64)
        );
        let expected: Vec<EventId> = expected.into_iter().map(|n: usize| events[n].id).collect();
        assert_eq!(ids(&world), expected, "{parameters:?}");
    }
}

/// A rule over short names of two letters, so that rules meet often.
fn rules() -> impl Strategy<Value = (Vec<&'static str>, Vec<(String, String, bool)>)> {
    let kinds = prop::sample::subsequence(vec!["A:One", "A:*", "B:Two"], 1..=2);
    let ends = ("[ab/]{0,2}", "[ab]{0,1}", prop::bool::weighted(0.85));
    (kinds, prop::collection::vec(ends, 1..3))
}

fn parameters(
    name: &str,
    (kinds, ends): &(Vec<&'static str>, Vec<(String, String, bool)>),
) -> Vec<(&'static str, String)> {
    let patterns = ends.iter().map(|(prefix, suffix, state)| {
        let mut clauses = vec![json!({"Prefix": format!("a{prefix}"), "Suffix": suffix})];
        if !state {
            clauses.push(json!({"Prefix": "ab", "MatchState": false}));
        }
        json!(clauses)
    });
    vec![
        ("ProductName", "oss".to_owned()),
        ("RuleName", name.to_owned()),
        ("EventTypes", json!(kinds).to_string()),
        (
            "MatchRules",
            json!(patterns.collect::<Vec<_>>()).to_string(),
        ),
        (
            "Endpoints",
            r#"[{"EndpointType":"queue","EndpointValue":"q"}]"#.to_owned(),
        ),
    ]
}

fn rule_of(parameters: &[(&str, String)]) -> Option<Rule> {
    let text = |name: &str| -> Value {
        let (_, text) = parameters.iter().find(|(held, _)| *held == name).unwrap();
        serde_json::from_str(text).unwrap_or_else(|_| json!(text))
    };
    let members = [
        "ProductName",
        "RuleName",
        "EventTypes",
        "MatchRules",
        "Endpoints",
    ];
    let spec: serde_json::Map<String, Value> = members
        .iter()
        .map(|name| ((*name).to_owned(), text(name)))
        .collect();
    let spec: RuleSpec = serde_json::from_value(Value::Object(spec)).unwrap();
    Rule::from_spec(spec).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What preview says that a rule would take is what it then takes, and what a replay for it sends; and it reports
    /// conflicts exactly where creating the rule is refused for one.
    #[test]
    fn preview_tells_what_the_rule_then_takes(
        stored in prop::collection::vec(rules(), 0..5),
        fresh in rules(),
        with_default in any::<bool>(),
        allow in any::<bool>(),
        resources in prop::collection::vec(("[ab/]{1,4}", prop::sample::select(vec!["A:One", "A:Three", "B:Two"])), 1..30),
        most in 1usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let overlap = if allow { Overlap::Allow } else { Overlap::Refuse };
            let world = world(Settings { overlap, ..Settings::default() });
            world.queue("q").await;
            let mut held: Vec<Rule> = Vec::new();
            for (number, rule) in stored.iter().enumerate() {
                let asked = parameters(&format!("r{number}"), rule);
                let asked_as: Vec<(&str, &str)> = asked.iter().map(|(k, v)| (*k, v.as_str())).collect();
                if world.act("CreateEventRule", &asked_as).await.status == 200 {
                    held.push(rule_of(&asked).unwrap());
                }
            }
            if with_default {
                let default = [
                    ("ProductName", "oss"), ("RuleName", "DefaultEnRule"), ("EventTypes", r#"["Default"]"#),
                    ("Endpoints", r#"[{"EndpointType":"queue","EndpointValue":"q"}]"#),
                ];
                world.act("CreateEventRule", &default).await.data();
            }
            let events: Vec<Event> = resources.iter().enumerate()
                .map(|(number, (resource, kind))| event(number, Product::Oss, kind, resource)).collect();
            for (number, pack) in events.chunks(3).enumerate() {
                world.archive.keep(Timestamp::from_millis(NOON - 1_000 + number as i64), pack);
            }

            let asked = parameters("fresh", &fresh);
            let asked_as: Vec<(&str, &str)> = asked.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let mut wanted = asked_as.clone();
            wanted.push(("MaxExamples", "1000"));
            let preview = world.act("PreviewEventRule", &wanted).await;
            let Some(rule) = rule_of(&asked) else {
                // Unsound by itself: both say so.
                prop_assert_eq!(preview.status, 400);
                prop_assert_eq!(world.act("CreateEventRule", &asked_as).await.status, 400);
                return Ok(());
            };
            let preview = preview.data();
            let taken: Vec<&Event> = events.iter()
                .filter(|event| rule.covers(event.event_type.as_str(), &event.resource)).collect();
            prop_assert_eq!(preview["Taken"].as_u64(), Some(taken.len() as u64));
            prop_assert_eq!(preview["Complete"].as_bool(), Some(true));
            for (example, event) in preview["TakenExamples"].as_array().unwrap().iter().zip(&taken) {
                prop_assert_eq!(&example["Id"], &json!(event.id));
                prop_assert_eq!(&example["Time"], &json!(event.time.to_iso()));
                let other = held.iter().find(|held| held.covers(event.event_type.as_str(), &event.resource));
                match other {
                    // Under allow there may be several; each is a right answer.
                    Some(_) => {
                        prop_assert_eq!(&example["From"], "rule");
                        let named = held.iter().find(|held| held.name.as_str() == example["FromRule"]).unwrap();
                        prop_assert!(named.covers(event.event_type.as_str(), &event.resource));
                    }
                    None => prop_assert_eq!(&example["From"], if with_default { "default" } else { "nobody" }),
                }
            }

            let created = world.act("CreateEventRule", &asked_as).await;
            let conflicts = preview["Conflicts"].as_array().unwrap().len();
            if allow {
                prop_assert_eq!(created.status, 200, "{}", created.body);
            } else {
                prop_assert_eq!(created.status == 200, conflicts == 0, "{} against {}", created.body, preview);
                if conflicts > 0 {
                    prop_assert_eq!(created.code(), "EventRuleConflict");
                    return Ok(());
                }
            }
            let most = most.to_string();
            let replayed = replay(&world, &[("Since", "1h"), ("RuleName", "fresh")], &most).await;
            prop_assert_eq!(replayed, (events.len() as u64, taken.len() as u64));
            let packs = world.archive.sent();
            for pack in &packs {
                prop_assert_eq!(pack.only.as_ref(), Some(&rule.name));
            }
            let sent: Vec<&Event> = packs.iter().flat_map(|pack| &pack.events).collect();
            prop_assert_eq!(sent, taken, "in order, with the ids they had");
            Ok(())
        })?;
    }
}

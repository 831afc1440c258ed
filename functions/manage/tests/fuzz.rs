//! Signatures and parameters, spoiled at random: nothing panics, and nothing that was spoiled is let in.

mod support;

use carillon_manage::{AccessKey, Role, Settings};
use proptest::prelude::*;
use serde_json::Value;
use support::{World, world};

fn guarded() -> World {
    let key = AccessKey {
        id: "AKID".to_owned(),
        secret: "SECRET".to_owned(),
        role: Role::Admin,
    };
    world(Settings {
        access_keys: vec![key],
        ..Settings::default()
    })
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// The sound requests of `cases/auth.json` that the admin key signed.
fn sound() -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases/auth.json")).expect("JSON");
    let by_admin = |case: &Value| case["headers"].to_string().contains("AKID");
    cases
        .into_iter()
        .filter(|case| case["status"] == 200 && by_admin(case))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// One byte of the signature, of what is signed, or of the target, changed to another: refused.
    #[test]
    fn a_spoiled_request_is_refused(which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte in 0x21_u8..0x7F, part in 0_u8..3) {
        let sound = sound();
        let case = &sound[which.index(sound.len())];
        let mut headers: Vec<(String, String)> = serde_json::from_value(case["headers"].clone()).expect("pairs");
        let mut target = case["target"].as_str().unwrap_or_default().to_owned();
        let spoil = |text: &mut String| {
            let mut bytes = text.clone().into_bytes();
            let at = place.index(bytes.len());
            let other = if bytes[at] == byte { byte ^ 1 } else { byte };
            // Hex digits of a signature say the same in either case.
            if bytes[at].eq_ignore_ascii_case(&other) {
                return false;
            }
            bytes[at] = other;
            *text = String::from_utf8(bytes).expect("ASCII stays ASCII");
            true
        };
        let changed = match part {
            0 => headers.iter_mut().find(|(name, _)| name == "authorization").is_some_and(|(_, value)| spoil(value)),
            1 => {
                let named = headers.iter_mut().find(|(name, _)| matches!(name.as_str(), "x-acs-signature-nonce" | "x-mns-prefix"));
                named.is_some_and(|(_, value)| spoil(value))
            }
            _ => spoil(&mut target),
        };
        prop_assume!(changed);
        // What is no request target cannot be sent at all.
        prop_assume!(target.starts_with('/') && target.parse::<axum::http::Uri>().is_ok());
        let open = ["/healthz", "/certs/"].iter().any(|path| target.starts_with(path));
        prop_assume!(!open && same_place(&target, case["target"].as_str().unwrap_or_default()));
        let answer = run(async {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            guarded().http(case["method"].as_str().unwrap_or_default(), &target, &headers, case["body"].as_str().unwrap_or_default()).await
        });
        prop_assert!((400..500).contains(&answer.status), "{target} {headers:?}: {} {}", answer.status, answer.body);
    }

    /// Parameters of any text: an answer, never a panic, and never a 5xx.
    #[test]
    fn parameters_of_any_text_get_an_answer(
        action in prop::sample::select(vec!["CreateEventRule", "UpdateEventRule", "ListEventRules", "CreateQueue", "Subscribe", "PreviewEventRule", "ExplainEvent", "RedriveDeadLetters", "ListDeliveries"]),
        name in prop::sample::select(vec!["ProductName", "RuleName", "EventTypes", "MatchRules", "Endpoint", "Endpoints", "QueueName", "TopicName", "DlqPolicy", "Events", "Event", "PageNum", "NextToken", "Ids", "Since", "MatchRules.1.1.Prefix", "Endpoint.EndpointType"]),
        text in "\\PC{0,40}|[\\[{}\\]\",:0-9a-z.]{0,30}",
    ) {
        let answer = run(async {
            let world = world(Settings::default());
            world.queue("q").await;
            let base = [("ProductName", "oss"), ("RuleName", "r"), ("EventTypes", "ObjectCreated:*"), ("MatchRules", r#"[[{"Prefix":"x/"}]]"#), ("Endpoint", r#"{"EndpointType":"queue","EndpointValue":"q"}"#)];
            let mut parameters: Vec<_> = base.into_iter().filter(|(held, _)| *held != name).collect();
            parameters.push((name, &text));
            world.act(action, &parameters).await
        });
        prop_assert!(answer.status < 500, "{action} {name}={text:?}: {}", answer.body);
    }
}

/// Whether both targets reach the same door: another path may be open, or not there.
fn same_place(one: &str, other: &str) -> bool {
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    path(one) == path(other)
}

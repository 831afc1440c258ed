//! Paging: nothing is lost or shown twice, also while rules change.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_manage::Settings;
use proptest::prelude::*;
use std::collections::BTreeSet;
use support::{World, world};

async fn page(world: &World, parameters: &[(&str, &str)]) -> (Vec<String>, serde_json::Value) {
    let all = [&[("ProductName", "oss")], parameters].concat();
    let data = world.act("ListEventRules", &all).await.data();
    let names = data["PageData"].as_array().unwrap().iter();
    (
        names
            .map(|rule| rule["RuleName"].as_str().unwrap().to_owned())
            .collect(),
        data,
    )
}

async fn filled(names: &BTreeSet<u32>) -> World {
    let world = world(Settings::default());
    world.queue("q").await;
    for number in names {
        assert_eq!(
            world
                .rule(&format!("r{number:04}"), &format!("b{number:04}/"), "q")
                .await
                .status,
            200
        );
    }
    world
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_together_are_the_whole(names in prop::collection::btree_set(0_u32..2000, 0..130), size in 0_u32..70, filter in 0_u32..10) {
        run(async move {
            let world = filled(&names).await;
            let filter = filter.to_string();
            let want: Vec<String> =
                names.iter().map(|number| format!("r{number:04}")).filter(|name| name.contains(&filter)).collect();
            let held = size.clamp(10, 50) as usize;
            let mut have = Vec::new();
            let mut number = 1;
            loop {
                let (size, at) = (size.to_string(), number.to_string());
                let (names, data) = page(&world, &[("PageNum", &at), ("PageSize", &size), ("RuleName", &filter)]).await;
                assert_eq!(data["Total"], want.len());
                assert_eq!(data["PageSize"], held);
                assert_eq!(data["Pages"], want.len().div_ceil(held));
                assert_eq!(data["Size"], names.len());
                assert!(names.len() <= held);
                let last = names.len() < held;
                have.extend(names);
                if last {
                    break;
                }
                number += 1;
            }
            assert_eq!(have, want);
        });
    }

    /// By NextToken, with rules created and deleted between the pages: what was there from beginning to end is shown
    /// exactly once, whatever else is.
    #[test]
    fn tokens_hold_their_place_while_rules_change(
        names in prop::collection::btree_set(0_u32..2000, 11..60),
        changes in prop::collection::vec((0_u32..2000, any::<bool>()), 0..20),
    ) {
        run(async move {
            let world = filled(&names).await;
            let mut steady: BTreeSet<u32> = names.clone();
            let mut present = names;
            let mut changes = changes.into_iter();
            let mut have: Vec<String> = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let mut parameters = vec![("MaxResults", "10")];
                parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
                let (names, data) = page(&world, &parameters).await;
                have.extend(names);
                match data.get("NextToken").and_then(|token| token.as_str()) {
                    Some(next) => token = Some(next.to_owned()),
                    None => break,
                }
                for (number, create) in changes.by_ref().take(3) {
                    let name = format!("r{number:04}");
                    if create && present.insert(number) {
                        assert_eq!(world.rule(&name, &format!("b{number:04}/"), "q").await.status, 200);
                    } else if !create && present.remove(&number) {
                        steady.remove(&number);
                        let gone = world.act("DeleteEventRule", &[("ProductName", "oss"), ("RuleName", &name)]).await;
                        assert_eq!(gone.status, 200);
                    }
                }
            }
            let once: BTreeSet<&String> = have.iter().collect();
            assert_eq!(once.len(), have.len(), "nothing is shown twice: {have:?}");
            for number in steady {
                assert!(once.contains(&format!("r{number:04}")), "r{number:04} was there all along: {have:?}");
            }
        });
    }
}

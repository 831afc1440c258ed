//! ApplyEventRules: the rules become equal to a file, or nothing changes.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_manage::Settings;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use support::{Answer, World, world, world_over};

fn rule(name: &str, prefix: &str, queue: &str) -> Value {
    json!({"ProductName": "oss", "RuleName": name, "EventTypes": ["ObjectCreated:*"],
        "MatchRules": [[{"Prefix": prefix}]],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": queue}]})
}

async fn apply(world: &World, rules: &Value, more: &[(&str, &str)]) -> Answer {
    let text = rules.to_string();
    let parameters = [&[("Rules", text.as_str())], more].concat();
    world.act("ApplyEventRules", &parameters).await
}

/// `Create a`, `Delete b` and so on, without what stays.
fn steps(data: &Value) -> Vec<String> {
    let steps = data["Steps"].as_array().unwrap().iter();
    steps
        .filter(|step| step["Action"] != "Unchanged")
        .map(|step| {
            format!(
                "{} {}",
                step["Action"].as_str().unwrap(),
                step["RuleName"].as_str().unwrap()
            )
        })
        .collect()
}

async fn names(world: &World) -> Vec<String> {
    let data = world
        .act("ListEventRules", &[("ProductName", "oss")])
        .await
        .data();
    let rules = data["PageData"].as_array().unwrap().iter();
    rules
        .map(|rule| rule["RuleName"].as_str().unwrap().to_owned())
        .collect()
}

async fn with_queues() -> World {
    let world = world(Settings::default());
    world.queue("q").await;
    world.queue("r").await;
    world
}

#[tokio::test]
async fn a_file_is_applied_once_and_then_there_is_nothing_to_do() {
    let world = with_queues().await;
    world.rule("stays", "stays/", "q").await;
    world.rule("changes", "old/", "q").await;
    world.rule("goes", "goes/", "q").await;
    let changes = [("ProductName", "oss"), ("RuleName", "stays")];
    let mut file = json!([
        rule("stays", "stays/", "q"),
        rule("changes", "new/", "r"),
        rule("comes", "goes/", "q"),
    ]);
    let plan = apply(&world, &file, &[("DryRun", "true")]).await.data();
    assert_eq!(
        steps(&plan),
        ["Replace changes", "Create comes", "Delete goes"]
    );
    assert_eq!(plan["Applied"], false);
    assert_eq!(
        plan["Summary"],
        json!({"Create": 1, "Replace": 1, "Enable": 0, "Disable": 0, "Delete": 1, "Unchanged": 1})
    );
    assert_eq!(
        plan["Steps"][0]["Differences"][0],
        json!({"Field": "MatchRules", "From": [[{"MatchState": true, "Prefix": "old/"}]], "To": [[{"MatchState": true, "Prefix": "new/"}]]})
    );
    assert_eq!(names(&world).await, ["changes", "goes", "stays"]);

    let done = apply(
        &world,
        &file,
        &[("PlanId", plan["PlanId"].as_str().unwrap())],
    )
    .await;
    assert_eq!(done.data()["Applied"], true);
    assert_eq!(names(&world).await, ["changes", "comes", "stays"]);
    let version = world.store.version_now();
    let again = apply(&world, &file, &[]).await.data();
    assert_eq!(steps(&again), Vec::<String>::new());
    assert_eq!(world.store.version_now(), version, "nothing was committed");

    // Whether a rule is enabled belongs to the file too.
    world.act("DisableEventRule", &changes).await.data();
    let plan = apply(&world, &file, &[]).await.data();
    assert_eq!(steps(&plan), ["Enable stays"]);
    file[0]["Enabled"] = json!(false);
    let plan = apply(&world, &file, &[]).await.data();
    assert_eq!(steps(&plan), ["Disable stays"]);
    assert_eq!(
        world.act("GetEventRule", &changes).await.data()["Enabled"],
        false
    );
    assert_eq!(
        steps(&apply(&world, &file, &[]).await.data()),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn two_rules_may_swap_their_patterns() {
    let world = with_queues().await;
    apply(
        &world,
        &json!([rule("a", "x/", "q"), rule("b", "y/", "q")]),
        &[],
    )
    .await
    .data();
    let swapped = json!([rule("a", "y/", "q"), rule("b", "x/", "q")]);
    let data = apply(&world, &swapped, &[]).await.data();
    assert_eq!(steps(&data), ["Replace a", "Replace b"]);
    let conflict = world.rule("c", "x/z", "q").await;
    assert!(conflict.message().contains("\"b\""), "{}", conflict.body);
}

#[tokio::test]
async fn a_faulty_file_is_told_all_its_faults_and_changes_nothing() {
    let world = with_queues().await;
    world.rule("held", "held/", "q").await;
    let version = world.store.version_now();
    let mut typed = rule("typed", "typed/", "q");
    typed["EventTypes"] = json!(["Object Created"]);
    let cases = [
        (
            json!([rule("1st", "a/", "q"), typed, rule("sound", "b/", "q")]),
            400,
            "InvalidArgument",
            vec!["\"1st\"", "\"typed\""],
        ),
        (
            json!([
                rule("a", "x/", "q"),
                rule("b", "x/y/", "q"),
                rule("c", "x/z", "q")
            ]),
            409,
            "EventRuleConflict",
            vec!["\"a\"", "\"b\"", "\"c\""],
        ),
        (
            json!([rule("a", "a/", "nowhere"), rule("b", "b/", "neither")]),
            404,
            "QueueNotExist",
            vec!["\"nowhere\"", "\"neither\""],
        ),
        (json!({"a": 1}), 400, "InvalidArgument", vec!["array"]),
    ];
    for (file, status, code, told) in cases {
        let answer = apply(&world, &file, &[]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.body
        );
        for part in told {
            assert!(answer.message().contains(part), "{part}: {}", answer.body);
        }
    }
    // Rules that stay may be in the way, too.
    let file = json!([rule("new", "held/x", "q")]);
    let answer = apply(&world, &file, &[("KeepOthers", "true")]).await;
    assert_eq!(answer.code(), "EventRuleConflict");
    assert_eq!(world.store.version_now(), version);
    assert_eq!(names(&world).await, ["held"]);
    // The books were not spoiled by what was refused.
    assert_eq!(world.rule("fits", "x/", "q").await.status, 200);
}

#[tokio::test]
async fn others_are_kept_on_request_and_products_have_files_of_their_own() {
    let world = with_queues().await;
    world.rule("other", "other/", "q").await;
    let mail = json!({"ProductName": "dm", "RuleName": "mail", "EventTypes": ["Deliver:*"],
        "Endpoints": [{"EndpointType": "queue", "EndpointValue": "q"}]});
    let file = json!([rule("new", "new/", "q"), mail]);
    apply(&world, &file, &[("KeepOthers", "true")]).await.data();
    assert_eq!(names(&world).await, ["new", "other"]);
    let refused = apply(&world, &file, &[("ProductName", "oss")]).await;
    assert!(refused.message().contains("\"mail\""), "{}", refused.body);
    let oss = json!([rule("new", "new/", "q")]);
    let data = apply(&world, &oss, &[("ProductName", "oss")]).await.data();
    assert_eq!(steps(&data), ["Delete other"]);
    // Without a limit to one product, the file speaks of all.
    assert_eq!(
        steps(&apply(&world, &oss, &[]).await.data()),
        ["Delete mail"]
    );
    let data = apply(&world, &json!([]), &[]).await.data();
    assert_eq!(steps(&data), ["Delete new"]);
    assert_eq!(world.act("ListTopic", &[]).await.data()["Total"], 0);
}

#[tokio::test]
async fn a_plan_that_is_no_longer_the_plan_is_refused() {
    let store = Arc::default();
    let world = world_over(Arc::clone(&store), Settings::default());
    world.queue("q").await;
    world.rule("a", "a/", "q").await;
    let file = json!([rule("b", "b/", "q")]);
    let plan = apply(&world, &file, &[("DryRun", "true")]).await.data();
    let id = plan["PlanId"].as_str().unwrap().to_owned();
    // A change of something else does not spoil the plan; a change of the rules does.
    world
        .act("CreateTopic", &[("TopicName", "elsewhere")])
        .await
        .data();
    let other = world_over(store, Settings::default());
    other.queue("q").await;
    other.rule("c", "c/", "q").await;
    let refused = apply(&world, &file, &[("PlanId", &id)]).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "EventRulesChanged")
    );
    assert_eq!(names(&world).await, ["a", "c"]);
    let plan = apply(&world, &file, &[("DryRun", "true")]).await.data();
    assert_eq!(steps(&plan), ["Delete a", "Create b", "Delete c"]);
    let id = plan["PlanId"].as_str().unwrap().to_owned();
    apply(&world, &file, &[("PlanId", &id)]).await.data();
    assert_eq!(names(&other).await, ["b"]);
}

#[tokio::test]
async fn a_large_file_is_one_commit() {
    let world = with_queues().await;
    let file: Value = (0..3_000)
        .map(|n| rule(&format!("r{n}"), &format!("b{n:05}/"), "q"))
        .collect();
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("Rules", &file.to_string())
        .finish();
    assert!(form.len() > 1024 * 1024 - 500_000);
    let length = form.len().to_string();
    let headers = [
        ("x-acs-action", "ApplyEventRules"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", length.as_str()),
    ];
    let version = world.store.version_now();
    let data = world.http("POST", "/", &headers, &form).await.data();
    assert_eq!(data["Summary"]["Create"], 3_000);
    assert_eq!(world.store.version_now(), version + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stood before: after a file of rules that do not overlap, exactly its rules stand, and applying it again
    /// changes nothing.
    #[test]
    fn after_applying_the_rules_are_the_file(before in files(), after in files()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let world = with_queues().await;
            apply(&world, &before, &[]).await.data();
            apply(&world, &after, &[]).await.data();
            let mut want: Vec<String> = after.as_array().unwrap().iter().map(|rule| rule["RuleName"].as_str().unwrap().to_owned()).collect();
            want.sort();
            assert_eq!(names(&world).await, want);
            let again = apply(&world, &after, &[]).await.data();
            assert_eq!(steps(&again), Vec::<String>::new());
            // One topic a rule, and none left over.
            assert_eq!(world.act("ListTopic", &[]).await.data()["Total"], want.len());
        });
    }
}

/// Files of up to six rules: each place is given to at most one rule, so that they never overlap.
fn files() -> impl Strategy<Value = Value> {
    let rules = prop::collection::btree_map(
        0_u8..6,
        (any::<prop::sample::Index>(), 0_u8..2, any::<bool>()),
        0..6,
    );
    rules.prop_map(|rules| {
        let mut places: Vec<u8> = (0..6).collect();
        rules
            .into_iter()
            .map(|(name, (place, queue, enabled))| {
                let place = places.remove(place.index(places.len()));
                let mut rule = rule(
                    &format!("r{name}"),
                    &format!("p{place}/"),
                    ["q", "r"][usize::from(queue)],
                );
                rule["Enabled"] = json!(enabled);
                rule
            })
            .collect()
    })
}

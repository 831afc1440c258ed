//! Clients of a function: all they know is in its environment. A child of this test has one, as Lambda furnishes it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, DynamoRules, Secret};
use carillon_core::ports::RuleStore as _;
use double::{Double, Verdict};
use serde_json::json;
use std::process::Command;

#[tokio::test]
#[ignore = "the child: it is started by the other test, with an environment"]
async fn child() {
    let clients = Clients::of_function().await;
    let rules = DynamoRules::new(&clients, "t");
    assert_eq!(rules.version().await.unwrap(), 7);
    let read = Secret::new(&clients, "s").read().await;
    assert_eq!(read.unwrap(), None);
}

#[test]
fn a_function_finds_region_credentials_and_emulator_in_its_environment_and_tries_again() {
    let double = Double::start();
    let mut lost = false;
    double.script(move |operation, _, _| match operation {
        "GetItem" if !lost => {
            lost = true;
            Verdict::LoseAnswer
        }
        "GetItem" => {
            let item = json!({"pk": {"S": "version"}, "sk": {"S": "version"}, "v": {"N": "7"}});
            Verdict::Answer(200, json!({ "Item": item }).to_string())
        }
        _ => {
            let none = json!({"__type": "ResourceNotFoundException"});
            Verdict::Answer(400, none.to_string())
        }
    });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored"])
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", double.url.as_str()),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_SESSION_TOKEN", "test"),
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
    assert_eq!(double.count("GetItem"), 2);
    assert_eq!(double.count("GetSecretValue"), 1);
}

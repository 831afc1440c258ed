//! The keys of pushes, turned over by an operator: requests and answers, byte for byte.
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use carillon_core::ports::{KeyError, SigningKeyKind, StoreError};
use carillon_manage::{AccessKey, Role, Settings};
use std::sync::Arc;
use support::keys::{Names, add};
use support::{World, world};

/// A control plane with keys.
fn with_keys(settings: Settings) -> (World, Arc<Names>) {
    let mut held = world(Settings::default());
    let keys = add(&mut held, settings);
    (held, keys)
}

async fn subscribed(world: &World) {
    world.act("CreateTopic", &[("TopicName", "t")]).await.data();
    let subscribe = [
        ("TopicName", "t"),
        ("SubscriptionName", "s"),
        ("PushType", "http"),
        ("Endpoint", "https://example.com/hook"),
    ];
    world.act("Subscribe", &subscribe).await.data();
}

const OF_S: [(&str, &str); 2] = [("TopicName", "t"), ("SubscriptionName", "s")];

#[tokio::test]
async fn keys_are_listed_without_their_secrets() {
    let (world, _) = with_keys(Settings::default());
    let answer = world.act("ListSigningKeys", &[]).await;
    assert_eq!(
        answer.data().to_string(),
        concat!(
            r#"{"Keys":[{"KeyName":"carillon-b.pem","KeyType":"mns","State":"signing","SignsFrom":1795345200,"#,
            r#""CertificateUrl":"http://127.0.0.1:9324/certs/carillon-b.pem"},"#,
            r#"{"KeyName":"carillon-a.pem","KeyType":"mns","State":"overlapping","SignsFrom":1795345200,"#,
            r#""OverlapsUntil":1795953600,"CertificateUrl":"http://127.0.0.1:9324/certs/carillon-a.pem"},"#,
            r#"{"KeyName":"webhooks-1","KeyType":"webhooks","State":"signing","SignsFrom":1795345200}]}"#,
        )
    );
}

#[tokio::test]
async fn a_rotation_is_of_mns_unless_it_says_webhooks() {
    let (world, keys) = with_keys(Settings::default());
    let made = world.act("RotateSigningKey", &[]).await.data();
    assert_eq!(
        made.to_string(),
        concat!(
            r#"{"KeyName":"carillon-c.pem","KeyType":"mns","State":"announced","SignsFrom":1795349400,"#,
            r#""CertificateUrl":"http://127.0.0.1:9324/certs/carillon-c.pem"}"#,
        )
    );
    world
        .act("RotateSigningKey", &[("KeyType", "webhooks")])
        .await
        .data();
    let refused = world.act("RotateSigningKey", &[("KeyType", "rsa")]).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "InvalidArgument")
    );
    assert_eq!(
        refused.message(),
        r#"KeyType, value "rsa": give mns or webhooks"#
    );
    assert_eq!(
        *keys.rotated.lock().unwrap(),
        [SigningKeyKind::Mns, SigningKeyKind::Webhooks]
    );
}

#[tokio::test]
async fn retiring_says_what_is_in_the_way() {
    let (world, keys) = with_keys(Settings::default());
    let retire = async |name: &'static str| {
        let answer = world.act("RetireSigningKey", &[("KeyName", name)]).await;
        let code = if answer.status == 200 {
            String::new()
        } else {
            answer.code()
        };
        (answer.status, code)
    };
    assert_eq!(retire("carillon-a.pem").await, (200, String::new()));
    assert_eq!(
        retire("carillon-b.pem").await,
        (409, "SigningKeyInUse".into())
    );
    assert_eq!(
        retire("carillon-z.pem").await,
        (404, "SigningKeyNotExist".into())
    );
    assert_eq!(retire("").await, (400, "InvalidArgument".into()));
    *keys.down.lock().unwrap() = Some(KeyError::Raced);
    assert_eq!(
        retire("carillon-a.pem").await,
        (409, "SigningKeyConflict".into())
    );
    *keys.down.lock().unwrap() = Some(KeyError::Store(StoreError("away".into())));
    assert_eq!(
        retire("carillon-a.pem").await,
        (500, "InternalError".into())
    );
}

#[tokio::test]
async fn a_subscriptions_secrets_overlap_and_are_shown_newest_first() {
    let (world, _) = with_keys(Settings::default());
    subscribed(&world).await;
    let shown = async || {
        let held = world.act("GetSubscriptionAttributes", &OF_S).await.data();
        assert_eq!(held["WebhookSecret"], held["WebhookSecrets"][0]);
        assert_eq!(held["WebhookPublicKey"], held["WebhookPublicKeys"][0]);
        (
            held["WebhookSecrets"].to_string(),
            held["WebhookPublicKeys"].to_string(),
        )
    };
    assert_eq!(shown().await.0, r#"["whsec_1"]"#);
    let made = world.act("RotateWebhookSecret", &OF_S).await.data();
    assert_eq!(
        made.to_string(),
        concat!(
            r#"{"TopicName":"t","SubscriptionName":"s","WebhookSecret":"whsec_2","WebhookPublicKey":"whpk_2","#,
            r#""WebhookSecrets":["whsec_2","whsec_1"],"WebhookPublicKeys":["whpk_2","whpk_1"]}"#,
        )
    );
    let both = (
        r#"["whsec_2","whsec_1"]"#.to_owned(),
        r#"["whpk_2","whpk_1"]"#.to_owned(),
    );
    assert_eq!(shown().await, both);
    // Subscribing once more with equal attributes is a success still.
    subscribed(&world).await;
    assert_eq!(shown().await, both);
    world.clock.advance(7 * 86_400_000);
    assert_eq!(shown().await.0, r#"["whsec_2"]"#);
    world.act("RotateWebhookSecret", &OF_S).await.data();
    assert_eq!(shown().await.0, r#"["whsec_3","whsec_2"]"#);
    world.act("RetireWebhookSecret", &OF_S).await.data();
    assert_eq!(shown().await.0, r#"["whsec_3"]"#);

    let missing = [("TopicName", "t"), ("SubscriptionName", "nobody")];
    let refused = world.act("RotateWebhookSecret", &missing).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "SubscriptionNotExist")
    );
}

#[tokio::test]
async fn a_service_without_keys_says_so() {
    let world = world(Settings::default());
    for action in ["ListSigningKeys", "RotateSigningKey"] {
        assert_eq!(world.act(action, &[]).await.code(), "UnsupportedOperation");
    }
}

#[tokio::test]
async fn nobody_turns_keys_over_unsigned_where_signatures_are_asked_for() {
    let admin = AccessKey {
        id: "admin".into(),
        secret: "secret".into(),
        role: Role::Admin,
    };
    let settings = Settings {
        access_keys: vec![admin],
        ..Settings::default()
    };
    let (world, keys) = with_keys(settings);
    // What each role may do is tried for every action in one place, with the signatures.
    let refused = world.act("RotateSigningKey", &[]).await;
    assert_eq!(refused.status, 403);
    assert!(keys.rotated.lock().unwrap().is_empty());
}

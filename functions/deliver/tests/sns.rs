//! Topics of SNS as endpoints.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::ports::{SnsError, SnsMessage, SnsTopics};
use carillon_core::topic::{SnsTopic, Target};
use std::sync::{Arc, Mutex};
use support::*;

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:alerts";

/// Takes what does not hold the word `Bad`, and fails that as it was told.
struct FakeSns {
    calls: Mutex<Vec<(String, Vec<SnsMessage>)>>,
    bad: SnsError,
}

#[async_trait::async_trait]
impl SnsTopics for FakeSns {
    async fn check(&self, _: &SnsTopic) -> Result<(), SnsError> {
        unreachable!("deliver asks for no permission")
    }

    async fn publish(
        &self,
        topic: &SnsTopic,
        messages: Vec<SnsMessage>,
    ) -> Vec<Result<String, SnsError>> {
        let results = messages
            .iter()
            .map(|message| match message.body.as_str() {
                "Bad" => Err(self.bad.clone()),
                _ => Ok("id".to_owned()),
            })
            .collect();
        self.calls
            .lock()
            .unwrap()
            .push((topic.to_string(), messages));
        results
    }
}

fn world(bad: SnsError) -> (World, Arc<FakeSns>) {
    let target = Target::Sns(SnsTopic::parse(ARN).unwrap());
    let mut world = World::new(vec![subscription("mail", target)]);
    let sns = Arc::new(FakeSns {
        calls: Mutex::default(),
        bad,
    });
    world.ports.sns = Some(sns.clone());
    (world, sns)
}

#[tokio::test]
async fn all_that_goes_to_one_topic_goes_in_one_call_with_what_filter_policies_ask_for() {
    let (world, sns) = world(SnsError::Unavailable(String::new()));
    let batch = [
        record(&pack(&[delivery("mail", 1), delivery("mail", 2)])),
        record(&pack(&[delivery("mail", 3)])),
    ];
    assert!(world.run(&batch).await.is_empty());
    let calls = sns.calls.lock().unwrap();
    let [(topic, messages)] = calls.as_slice() else {
        panic!("{} calls", calls.len());
    };
    assert_eq!((topic.as_str(), messages.len()), (ARN, 3));
    assert_eq!(messages[0].body, delivery("mail", 1).notification.body);
    assert_eq!(
        messages[0].line,
        "oss ObjectCreated:PutObject photos/cat.jpg (rule thumbnails, 2023-11-14T22:13:20.000Z)"
    );
    let want = [
        ("product", "oss"),
        ("eventType", "ObjectCreated:PutObject"),
        ("rule", "thumbnails"),
        ("bucket", "photos"),
        ("messageId", "00000000000000000000000000000001"),
    ];
    let want: Vec<_> = want.map(|(name, value)| (name, value.to_owned())).into();
    assert_eq!(messages[0].attributes, want);
}

#[tokio::test]
async fn one_failure_is_retried_or_kept_alone() {
    for (error, (retried, dead)) in [
        (SnsError::Unavailable("Throttled".into()), (1, 0)),
        (SnsError::NotExist(ARN.into()), (1, 0)),
        (SnsError::Denied("AuthorizationError".into()), (1, 0)),
        (SnsError::Refused("InvalidParameter".into()), (0, 1)),
    ] {
        let (world, _) = world(error.clone());
        let mut bad = delivery("mail", 2);
        bad.notification.body = "Bad".into();
        let batch = [record(&pack(&[delivery("mail", 1), bad]))];
        assert!(world.run(&batch).await.is_empty());
        assert_eq!(world.resent().len(), retried, "{error:?}");
        let kept = world.dead.kept.lock().unwrap();
        assert_eq!(kept.len(), dead, "{error:?}");
        assert!(kept.iter().all(|letter| letter.reason.contains("SNS")));
    }
}

#[tokio::test]
async fn without_sns_a_delivery_is_kept_with_the_reason() {
    let (mut world, _) = world(SnsError::Unavailable(String::new()));
    world.ports.sns = None;
    let batch = [record(&pack(&[delivery("mail", 1)]))];
    assert!(world.run(&batch).await.is_empty());
    let kept = world.dead.kept.lock().unwrap();
    assert!(kept[0].reason.contains("reached from AWS alone"));
}

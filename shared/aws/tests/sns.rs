//! Publishing to topics of SNS, on a double.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "services/mod.rs"]
mod double;

use carillon_aws::{Clients, Settings, SnsPublisher};
use carillon_core::ports::{SnsError, SnsMessage, SnsTopics as _};
use carillon_core::topic::SnsTopic;
use double::Double;

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:stack-t-alerts";

fn settings() -> Settings {
    Settings::read(|name| match name {
        "CARILLON_TABLE" => Some("t".to_owned()),
        "CARILLON_TOPIC_PREFIX" => Some("stack-t-".to_owned()),
        "CARILLON_ACCOUNT_ID" => Some("123456789012".to_owned()),
        _ => None,
    })
    .unwrap()
}

async fn publisher(double: &Double) -> SnsPublisher {
    SnsPublisher::new(&Clients::connect_to(&double.url).await, &settings())
}

fn topic() -> SnsTopic {
    SnsTopic::parse(ARN).unwrap()
}

fn message(body: &str) -> SnsMessage {
    SnsMessage {
        body: body.to_owned(),
        line: "something happened to ä".to_owned(),
        attributes: vec![("eventType", "ObjectCreated:PutObject".to_owned())],
        group: None,
    }
}

#[tokio::test]
async fn ten_go_in_a_request_with_their_attributes() {
    let double = Double::start();
    let messages = (0..23).map(|n| message(&n.to_string())).collect();
    let results = publisher(&double).await.publish(&topic(), messages).await;
    assert_eq!(results.len(), 23);
    assert!(results.iter().all(Result::is_ok));
    let published = double.state.lock().unwrap().published.clone();
    assert_eq!(published.len(), 3);
    let first = &published[0];
    assert_eq!(first["TopicArn"], ARN);
    let entry = "PublishBatchRequestEntries.member.1";
    assert_eq!(
        first[&format!("{entry}.Message")],
        r#"{"default":"0","email":"something happened to ä","sms":"something happened to ä"}"#
    );
    assert_eq!(first[&format!("{entry}.MessageStructure")], "json");
    assert_eq!(first[&format!("{entry}.Subject")], "something happened to");
    let attribute = format!("{entry}.MessageAttributes.entry.1");
    assert_eq!(first[&format!("{attribute}.Name")], "eventType");
    assert_eq!(
        first[&format!("{attribute}.Value.StringValue")],
        "ObjectCreated:PutObject"
    );
    // 256 KiB are the most of a request.
    let large = (0..4).map(|_| message(&"x".repeat(100_000))).collect();
    let results = publisher(&double).await.publish(&topic(), large).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(double.state.lock().unwrap().published.len(), 5);
}

#[tokio::test]
async fn each_message_has_its_own_result() {
    let double = Double::start();
    double.state.lock().unwrap().sns = Some(Box::new(|_| {
        (
            200,
            "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful>\
             <Failed><member><Id>2</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>\
             <member><Id>1</Id><Code>InvalidParameter</Code><Message>bad</Message><SenderFault>true</SenderFault></member></Failed>\
             </PublishBatchResult></PublishBatchResponse>"
                .to_owned(),
        )
    }));
    let messages = ["a", "b", "c", "d"].map(message).into();
    let results = publisher(&double).await.publish(&topic(), messages).await;
    assert_eq!(results[0], Ok("m".to_owned()));
    assert!(matches!(&results[1], Err(SnsError::Refused(why)) if why.contains("bad")));
    assert!(matches!(results[2], Err(SnsError::Unavailable(_))));
    // Of the last one nothing was said: it is not taken for sent.
    assert!(matches!(results[3], Err(SnsError::Unavailable(_))));
}

#[tokio::test]
async fn a_request_that_is_refused_for_one_message_is_made_anew_for_each() {
    let double = Double::start();
    double.state.lock().unwrap().sns = Some(Box::new(|fields| {
        let bodies: Vec<&String> = (1..)
            .map_while(|n| fields.get(&format!("PublishBatchRequestEntries.member.{n}.Message")))
            .collect();
        if bodies.iter().any(|body| body.contains("\"bad\"")) {
            return (
                400,
                "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>bad</Message></Error></ErrorResponse>"
                    .to_owned(),
            );
        }
        (
            200,
            "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful>\
             </PublishBatchResult></PublishBatchResponse>"
                .to_owned(),
        )
    }));
    let messages = ["a", "bad", "c"].map(message).into();
    let results = publisher(&double).await.publish(&topic(), messages).await;
    assert_eq!(results[0], Ok("m".to_owned()));
    assert!(matches!(results[1], Err(SnsError::Refused(_))));
    assert_eq!(results[2], Ok("m".to_owned()));
}

#[tokio::test]
async fn a_topic_is_checked_before_a_rule_names_it() {
    let double = Double::start();
    let publisher = publisher(&double).await;
    let check = async |arn: &str| publisher.check(&SnsTopic::parse(arn).unwrap()).await;
    for (arn, words) in [
        ("arn:aws:sns:eu-west-1:123456789012:stack-t-a", "eu-west-1"),
        ("arn:aws:sns:us-east-1:123456789012:other", "TopicPrefix"),
        (
            "arn:aws:sns:us-east-1:999999999999:stack-t-a",
            "TopicPrefix",
        ),
    ] {
        let Err(SnsError::Denied(why)) = check(arn).await else {
            panic!("{arn}");
        };
        assert!(why.contains(words), "{why}");
    }
    assert!(double.state.lock().unwrap().published.is_empty());
    double.state.lock().unwrap().sns = Some(Box::new(|_| {
        (
            404,
            "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>"
                .to_owned(),
        )
    }));
    assert_eq!(check(ARN).await, Err(SnsError::NotExist(ARN.to_owned())));
}

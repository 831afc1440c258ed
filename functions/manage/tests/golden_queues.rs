//! The MNS queue interface, request and answer byte for byte, in `golden/queues/*.http`; see `golden.rs`.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_manage::Settings;
use support::golden::Golden;
use support::world;

#[tokio::test]
async fn every_queue_action_answers_as_reviewed() {
    let mut golden = Golden::new(world(Settings::default()), "queues");
    const XMLNS: &str = "http://mns.aliyuncs.com/doc/v1/";
    let attributes =
        format!(r#"<Queue xmlns="{XMLNS}"><VisibilityTimeout>30</VisibilityTimeout></Queue>"#);
    golden
        .http("CreateQueue", "PUT", "/queues/rest", &[], &attributes)
        .await;
    golden
        .http("CreateQueue.again", "PUT", "/queues/rest", &[], &attributes)
        .await;
    golden
        .http("CreateQueue.other", "PUT", "/queues/rest", &[], "")
        .await;
    let changed =
        format!(r#"<Queue xmlns="{XMLNS}"><VisibilityTimeout>60</VisibilityTimeout></Queue>"#);
    golden
        .http(
            "SetQueueAttributes",
            "PUT",
            "/queues/rest?metaoverride=true",
            &[],
            &changed,
        )
        .await;
    golden
        .http("GetQueueAttributes", "GET", "/queues/rest", &[], "")
        .await;
    golden
        .http(
            "ListQueue",
            "GET",
            "/queues",
            &[("x-mns-ret-number", "1")],
            "",
        )
        .await;

    let messages = "/queues/rest/messages";
    let one = format!(
        r#"<Message xmlns="{XMLNS}"><MessageBody>a &amp; b</MessageBody><Priority>2</Priority></Message>"#
    );
    golden
        .http("SendMessage", "POST", messages, &[], &one)
        .await;
    golden
        .http("SendMessage.empty", "POST", messages, &[], "<Message/>")
        .await;
    golden
        .http("SendMessage.xml", "POST", messages, &[], "<Message>")
        .await;
    golden
        .http(
            "PeekMessage",
            "GET",
            "/queues/rest/messages?peekonly=true",
            &[],
            "",
        )
        .await;
    let got = golden
        .http(
            "ReceiveMessage",
            "GET",
            "/queues/rest/messages?waitseconds=0",
            &[],
            "",
        )
        .await;
    golden
        .http("ReceiveMessage.none", "GET", messages, &[], "")
        .await;
    let handle = handles(&got).remove(0);
    let target = format!("{messages}?ReceiptHandle={handle}&VisibilityTimeout=120");
    let changed = golden
        .http("ChangeMessageVisibility", "PUT", &target, &[], "")
        .await;
    let target = format!("{messages}?ReceiptHandle={}", handles(&changed).remove(0));
    golden
        .http("DeleteMessage", "DELETE", &target, &[], "")
        .await;
    golden
        .http("DeleteMessage.void", "DELETE", &target, &[], "")
        .await;

    let nonsense = format!("{messages}?ReceiptHandle=nonsense");
    golden
        .http("DeleteMessage.nonsense", "DELETE", &nonsense, &[], "")
        .await;

    golden
        .http("DeleteMessage.missing", "DELETE", messages, &[], "")
        .await;
    golden
        .http("ChangeMessageVisibility.missing", "PUT", &target, &[], "")
        .await;

    let two = format!(
        r#"<Messages xmlns="{XMLNS}"><Message><MessageBody>first</MessageBody></Message><Message><MessageBody>second</MessageBody></Message></Messages>"#
    );
    golden
        .http("BatchSendMessage", "POST", messages, &[], &two)
        .await;
    let part = format!(
        r#"<Messages xmlns="{XMLNS}"><Message><MessageBody>third</MessageBody></Message><Message><Priority>17</Priority><MessageBody>x</MessageBody></Message></Messages>"#
    );
    golden
        .http("BatchSendMessage.part", "POST", messages, &[], &part)
        .await;
    golden
        .http(
            "BatchPeekMessage",
            "GET",
            "/queues/rest/messages?peekonly=true&numOfMessages=2",
            &[],
            "",
        )
        .await;
    let got = golden
        .http(
            "BatchReceiveMessage",
            "GET",
            "/queues/rest/messages?numOfMessages=16",
            &[],
            "",
        )
        .await;
    let held = handles(&got);
    let delete = |handles: &[String]| {
        let handles: String = handles
            .iter()
            .map(|handle| format!("<ReceiptHandle>{handle}</ReceiptHandle>"))
            .collect();
        format!(r#"<ReceiptHandles xmlns="{XMLNS}">{handles}</ReceiptHandles>"#)
    };
    golden
        .http(
            "BatchDeleteMessage",
            "DELETE",
            messages,
            &[],
            &delete(&held[..2]),
        )
        .await;
    golden
        .http(
            "BatchDeleteMessage.part",
            "DELETE",
            messages,
            &[],
            &delete(&held[1..]),
        )
        .await;
    golden
        .http("missing", "GET", "/queues/nowhere/messages", &[], "")
        .await;
    golden.http("method", "PATCH", messages, &[], "").await;
    golden
        .http("account", "GET", "/?accountmeta=true", &[], "")
        .await;

    let with = |properties: &str| {
        format!(
            r#"<Message xmlns="{XMLNS}"><MessageBody>body</MessageBody><UserProperties>{properties}</UserProperties></Message>"#
        )
    };
    let city = "<PropertyValue><Name>city</Name><Value>a &lt; b</Value><Type>STRING</Type></PropertyValue>";
    let raw =
        "<PropertyValue><Name>raw</Name><Type>Binary</Type><Value>AAH/</Value></PropertyValue>";
    let both = with(&format!("{city}\n{raw}"));
    golden
        .http("SendMessage.properties", "POST", messages, &[], &both)
        .await;
    let receive = "/queues/rest/messages?waitseconds=0";
    golden
        .http("ReceiveMessage.properties", "GET", receive, &[], "")
        .await;
    for (name, properties) in [
        ("type", city.replace("STRING", "DATE")),
        ("value", raw.replace("AAH/", "no Base64")),
        ("name", city.replace(">city<", ">my city<")),
        ("twice", city.repeat(2)),
        ("missing", city.replace("<Name>city</Name>", "")),
        ("unknown", city.replace("PropertyValue>", "Property>")),
    ] {
        let name = format!("SendMessage.property.{name}");
        golden
            .http(&name, "POST", messages, &[], &with(&properties))
            .await;
    }
    golden
        .http("DeleteQueue", "DELETE", "/queues/rest", &[], "")
        .await;
    golden.finish();
}

/// The receipt handles of an answer.
fn handles(body: &str) -> Vec<String> {
    let parts = body.split("<ReceiptHandle>").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("</ReceiptHandle>")?.0.to_owned()))
        .collect()
}

/// A delay given with a message stands above the queue's own, zero too (MNS SendMessage).
#[tokio::test]
async fn a_delay_of_zero_stands_above_the_queue_s_own() {
    let world = world(Settings::default());
    let made = [("QueueName", "late"), ("DelaySeconds", "60")];
    world.act("CreateQueue", &made).await.data();
    let messages = "/queues/late/messages";
    for (body, delay) in [("waits", ""), ("at once", "<DelaySeconds>0</DelaySeconds>")] {
        let xml = format!("<Message><MessageBody>{body}</MessageBody>{delay}</Message>");
        assert_eq!(world.http("POST", messages, &[], &xml).await.status, 201);
    }
    let got = world.http("GET", messages, &[], "").await;
    assert!(got.body.contains("at once"), "{}", got.body);
    assert_eq!(world.http("GET", messages, &[], "").await.status, 404);
    world.clock.advance(60_000);
    let got = world.http("GET", messages, &[], "").await;
    assert!(got.body.contains("waits"), "{}", got.body);
}

//! Commands over a stack, against doubles of CloudFormation, S3 and a function URL in this process.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::process::Output;
use std::sync::{Arc, Mutex};
use support::carillon;

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";
/// Of others, with something that no SDK knows yet.
const THEIRS: &str = concat!(
    r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#,
    "<CloudFunctionConfiguration><Id>resize</Id><CloudFunction>arn:aws:lambda:us-east-1:123456789012:function:f</CloudFunction>",
    "<Event>s3:ObjectCreated:Put</Event><Filter><S3Key><FilterRule><Name>Prefix</Name><Value>in/</Value></FilterRule></S3Key></Filter>",
    "<Novelty/></CloudFunctionConfiguration></NotificationConfiguration>"
);
const EMPTY: &str =
    r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>"#;

/// What the doubles hold, and what somebody else does at the same time.
#[derive(Default)]
struct World {
    buckets: BTreeMap<String, String>,
    puts: usize,
    /// After the first read, the bucket holds this.
    meanwhile: Option<String>,
    /// So many writes are overwritten at once by somebody who had read before them.
    robbed: usize,
    /// What S3 answers to a write.
    refusal: Option<(u16, &'static str)>,
    eventbridge: bool,
    smq: bool,
    manage: String,
    seen: Vec<(String, HeaderMap, String)>,
}

type Shared = Arc<Mutex<World>>;

fn told(headers: &HeaderMap, service: &str) -> bool {
    let authorization = headers
        .get("authorization")
        .and_then(|text| text.to_str().ok());
    authorization.is_some_and(|text| {
        text.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/")
            && text.contains(&format!("/us-east-1/{service}/aws4_request"))
    })
}

async fn describe(
    State(world): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    assert!(told(&headers, "cloudformation"), "{headers:?}");
    let world = world.lock().unwrap();
    if !body.contains("StackName=events") {
        return (
            StatusCode::BAD_REQUEST,
            "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error></ErrorResponse>".into(),
        );
    }
    let member = |kind: &str, pairs: &[(&str, &str)]| -> String {
        pairs
            .iter()
            .map(|(key, value)| format!("<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>"))
            .collect()
    };
    let auth = if world.smq { "SMQ" } else { "AWS_IAM" };
    let bus = if world.eventbridge { "true" } else { "false" };
    let parameters = member(
        "Parameter",
        &[("ManagementAuth", auth), ("EventBridgeSource", bus)],
    );
    let outputs = member(
        "Output",
        &[
            ("EventsQueueArn", QUEUE),
            ("ManageUrl", &world.manage),
            ("EventBucketName", "kept"),
        ],
    );
    (
        StatusCode::OK,
        format!(
            "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks><member>\
             <StackName>events</StackName><StackStatus>UPDATE_COMPLETE</StackStatus><Parameters>{parameters}</Parameters>\
             <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        ),
    )
}

async fn buckets(State(world): State<Shared>) -> String {
    let names = world.lock().unwrap();
    let names: String = names
        .buckets
        .keys()
        .map(|name| format!("<Bucket><Name>{name}</Name></Bucket>"))
        .collect();
    format!("<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>")
}

async fn notifications(
    State(world): State<Shared>,
    Path(bucket): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> (StatusCode, String) {
    assert!(told(&headers, "s3") && query.as_deref() == Some("notification"));
    assert_eq!(headers["x-amz-expected-bucket-owner"], "123456789012");
    let mut world = world.lock().unwrap();
    let Some(held) = world.buckets.get(&bucket).cloned() else {
        return (
            StatusCode::NOT_FOUND,
            "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>".into(),
        );
    };
    if let Some(other) = world.meanwhile.take() {
        world.buckets.insert(bucket, other);
    }
    (StatusCode::OK, held)
}

async fn configure(
    State(world): State<Shared>,
    Path(bucket): Path<String>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    assert!(told(&headers, "s3"));
    let mut world = world.lock().unwrap();
    if let Some((status, text)) = world.refusal {
        return (StatusCode::from_u16(status).unwrap(), text.to_owned());
    }
    world.puts += 1;
    if world.robbed > 0 {
        world.robbed -= 1;
        return (StatusCode::OK, String::new());
    }
    world.buckets.insert(bucket, body);
    (StatusCode::OK, String::new())
}

async fn manage(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> String {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let action = headers["x-acs-action"].to_str().unwrap().to_owned();
    world.lock().unwrap().seen.push((action, headers, body));
    r#"{"RequestId":"r","Code":200,"Status":"Success","Success":true,"Data":{"PageData":[{"TopicName":"from-the-stack"}]}}"#.into()
}

/// Doubles that run as long as the test, and the command that talks to them.
struct Doubles {
    world: Shared,
    url: String,
}

impl Doubles {
    fn start(bucket: &str) -> Self {
        let world: Shared = Arc::default();
        world
            .lock()
            .unwrap()
            .buckets
            .insert("b".into(), bucket.into());
        let aws = Router::new()
            .route("/", post(describe).get(buckets))
            .route("/{bucket}", get(notifications).put(configure))
            .with_state(world.clone());
        let door = Router::new()
            .route("/", post(manage))
            .with_state(world.clone());
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                for router in [aws, door] {
                    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                    send.send(format!("http://{}", listener.local_addr().unwrap()))
                        .unwrap();
                    tokio::spawn(async move { axum::serve(listener, router).await });
                }
                std::future::pending::<()>().await;
            });
        });
        let url = receive.recv().unwrap();
        world.lock().unwrap().manage = format!("{}/", receive.recv().unwrap());
        Doubles { world, url }
    }

    fn run(&self, arguments: &str) -> Output {
        carillon()
            .args(arguments.split_whitespace())
            .envs([
                ("AWS_ENDPOINT_URL", self.url.as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIATEST"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ])
            .output()
            .unwrap()
    }

    /// Runs, wants this exit status, and gives all that was printed.
    fn says(&self, arguments: &str, status: i32) -> String {
        let output = self.run(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments}: {text}");
        text
    }

    fn bucket(&self) -> String {
        self.world.lock().unwrap().buckets["b"].clone()
    }
}

#[test]
fn attach_and_detach_leave_what_others_configured_as_it_was() {
    let doubles = Doubles::start(THEIRS);
    let wish = "bucket attach b --stack events --event ObjectRemoved:* --yes";
    let text = doubles.says(wish, 0);
    assert!(
        text.contains("+ s3:ObjectRemoved:* -> arn:aws:sqs"),
        "{text}"
    );
    let held = doubles.bucket();
    let (head, tail) = THEIRS.split_at(THEIRS.find("<CloudFunction").unwrap());
    assert!(held.starts_with(head) && held.ends_with(tail), "{held}");
    assert!(held.contains("<Id>carillon-events</Id>"));
    // The same again changes nothing; with other events it replaces its own entry.
    let text = doubles.says(wish, 0);
    assert!(text.contains("nothing to change"), "{text}");
    doubles.says(
        "bucket attach b --stack events --event s3:ObjectTagging:* --yes",
        0,
    );
    assert!(!doubles.bucket().contains("ObjectRemoved"));
    // An entry for each pair of ends.
    doubles.says(
        "bucket attach b --stack events --event ObjectCreated:* --prefix out/ --yes",
        0,
    );
    let text = doubles.says("bucket list --stack events", 0);
    assert_eq!(text.matches("-> arn:aws:sqs").count(), 2, "{text}");
    doubles.says("bucket detach b --stack events --yes", 0);
    assert_eq!(doubles.bucket(), THEIRS);
    assert_eq!(doubles.world.lock().unwrap().puts, 4);
}

#[test]
fn the_stack_s_own_bucket_of_events_is_not_attached_to_it() {
    let doubles = Doubles::start(EMPTY);
    let own = EMPTY.to_owned();
    doubles
        .world
        .lock()
        .unwrap()
        .buckets
        .insert("kept".into(), own);
    for road in ["queue", "eventbridge"] {
        let wish = format!("bucket attach kept --stack events --by {road} --yes");
        let text = doubles.says(&wish, 1);
        assert!(text.contains("without end"), "{text}");
    }
    assert_eq!(doubles.world.lock().unwrap().puts, 0);
}

#[test]
fn nothing_is_written_without_agreement() {
    let doubles = Doubles::start(EMPTY);
    let text = doubles.says("bucket attach b --stack events --dry-run", 0);
    assert!(
        text.contains("+ s3:ObjectCreated:*, s3:ObjectRemoved:*"),
        "{text}"
    );
    let text = doubles.says("bucket attach b --stack events", 2);
    assert!(text.contains("--yes"), "{text}");
    assert_eq!(doubles.bucket(), EMPTY);
}

#[test]
fn an_overlap_is_told_with_the_entry_that_is_in_the_way_and_the_road_round_it() {
    let doubles = Doubles::start(THEIRS);
    let text = doubles.says("bucket attach b --stack events --yes", 1);
    for words in [
        "function:f",
        "begin \"in/\"",
        "(Id resize)",
        "--by eventbridge",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let text = doubles.says("bucket attach b --stack events --by eventbridge --yes", 1);
    assert!(text.contains("EventBridgeSource=true"), "{text}");
    doubles.world.lock().unwrap().eventbridge = true;
    doubles.says("bucket attach b --stack events --by eventbridge --yes", 0);
    let held = doubles.bucket();
    assert!(held.contains("<EventBridgeConfiguration></EventBridgeConfiguration></Notif"));
    let text = doubles.says("bucket list --stack events", 0);
    assert!(text.contains("eventbridge"), "{text}");
    // Now the other road would tell everything twice.
    let text = doubles.says(
        "bucket attach b --stack events --event ObjectTagging:* --yes",
        1,
    );
    assert!(text.contains("each event twice"), "{text}");
    doubles.says("bucket detach b --stack events --by eventbridge --yes", 0);
    assert_eq!(doubles.bucket(), THEIRS);
}

#[test]
fn what_others_write_meanwhile_is_kept() {
    let doubles = Doubles::start(EMPTY);
    // Somebody adds theirs after the plan was made.
    doubles.world.lock().unwrap().meanwhile = Some(THEIRS.into());
    let wish = "bucket attach b --stack events --event ObjectRemoved:* --yes";
    let text = doubles.says(wish, 0);
    assert!(text.contains("theirs are kept"), "{text}");
    assert!(doubles.bucket().contains("<Novelty/>"));
    // What they add may stand in the way.
    let doubles = Doubles::start(EMPTY);
    doubles.world.lock().unwrap().meanwhile = Some(THEIRS.into());
    let text = doubles.says("bucket attach b --stack events --yes", 1);
    assert!(text.contains("(Id resize)"), "{text}");
    assert_eq!(doubles.bucket(), THEIRS);
}

#[test]
fn a_write_that_is_overwritten_is_made_again_and_in_the_end_given_up() {
    let wish = "bucket attach b --stack events --event ObjectRemoved:* --yes";
    let doubles = Doubles::start(THEIRS);
    doubles.world.lock().unwrap().robbed = 1;
    let text = doubles.says(wish, 0);
    assert!(text.contains("took the change away"), "{text}");
    assert!(
        doubles.bucket().contains("carillon-events") && doubles.bucket().contains("<Novelty/>")
    );
    doubles.says("bucket detach b --stack events --yes", 0);
    doubles.world.lock().unwrap().robbed = usize::MAX;
    let text = doubles.says(wish, 1);
    assert!(text.contains("keeps writing"), "{text}");
}

#[test]
fn refusals_of_aws_come_with_what_to_do() {
    let doubles = Doubles::start(EMPTY);
    let text = doubles.says("bucket attach b --stack other --yes", 2);
    assert!(
        text.contains("does not exist") && text.contains("AWS_REGION"),
        "{text}"
    );
    let text = doubles.says("bucket attach nowhere --stack events --yes", 1);
    assert!(text.contains("NoSuchBucket"), "{text}");
    for (refusal, words) in [
        (
            "<Error><Code>InvalidArgument</Code><Message>Unable to validate the following destination configurations</Message></Error>",
            "SourceBucketArns",
        ),
        (
            "<Error><Code>InvalidArgument</Code><Message>Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules</Message></Error>",
            "--by eventbridge",
        ),
    ] {
        doubles.world.lock().unwrap().refusal = Some((400, refusal));
        let text = doubles.says("bucket attach b --stack events --yes", 1);
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(doubles.bucket(), EMPTY);
}

#[test]
fn a_stack_s_control_plane_is_found_and_requests_are_signed_for_it() {
    let doubles = Doubles::start(EMPTY);
    let text = doubles.says("topic list --stack events", 0);
    assert!(text.contains("from-the-stack"), "{text}");
    {
        let world = doubles.world.lock().unwrap();
        let (action, headers, _) = &world.seen[0];
        assert_eq!(action, "ListTopic");
        assert!(told(headers, "lambda"), "{headers:?}");
    }
    // Where Alibaba's SDKs come in, requests are signed by a key of the stack's own.
    doubles.world.lock().unwrap().smq = true;
    let text = doubles.says("topic list --stack events", 2);
    assert!(text.contains("CARILLON_ACCESS_KEY_ID"), "{text}");
    doubles.says(
        "topic list --stack events --access-key-id id --access-key-secret secret",
        0,
    );
    let world = doubles.world.lock().unwrap();
    let authorization = world.seen[1].1["authorization"].to_str().unwrap();
    assert!(
        authorization.starts_with("ACS3-HMAC-SHA256"),
        "{authorization}"
    );
}

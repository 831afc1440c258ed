//! How fast the control plane answers: GetEventRule and ReceiveMessage at a steady rate over keep-alive connections,
//! against the embedded store, with the time from when a request was due (not from when it was sent) to its answer.
//!
//! ```text
//! cargo run --release -p carillon-manage --example load -- [RATE] [SECONDS]
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use carillon_core::ports::{
    OutgoingMessage, PublishError, PublishReceipt, Publisher, QueueAdmin as _, QueueAttributes,
    QueueSender as _, Submission,
};
use carillon_core::topic::QueueName;
use carillon_embedded::{Settings as StoreSettings, Store, SystemClock, SystemRandom};
use carillon_manage::{Ports, Service, Settings, router};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CONNECTIONS: u32 = 16;

struct Nowhere;

#[async_trait::async_trait]
impl Publisher for Nowhere {
    async fn publish(&self, _: Submission) -> Result<PublishReceipt, PublishError> {
        Ok(PublishReceipt::default())
    }
}

/// Sends one request and reads its answer whole; gives the status.
async fn exchange(stream: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    buffer.clear();
    loop {
        stream.read_buf(buffer).await.unwrap();
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if buffer.len() >= end + 4 + length.unwrap_or(0) {
            return head[9..12].parse().unwrap();
        }
    }
}

async fn steady(
    address: std::net::SocketAddr,
    request: String,
    rate: u32,
    seconds: u32,
) -> Vec<Duration> {
    let start = Instant::now() + Duration::from_millis(100);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut took, mut buffer) = (Vec::new(), Vec::new());
                for number in (connection..rate * seconds).step_by(CONNECTIONS as usize) {
                    let due = start + Duration::from_secs(1) * number / rate;
                    tokio::time::sleep_until(due.into()).await;
                    let status = exchange(&mut stream, &request, &mut buffer).await;
                    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&buffer));
                    took.push(due.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    all
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u32>().unwrap());
    let (rate, seconds) = (
        arguments.next().unwrap_or(1000),
        arguments.next().unwrap_or(5),
    );
    let store = Arc::new(Store::open_temporary(StoreSettings::default()).unwrap());
    let ports = Ports {
        rules: store.clone(),
        queues: store.clone(),
        sender: store.clone(),
        consumer: store.clone(),
        publisher: Arc::new(Nowhere),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        attempts: None,
        dead_letters: None,
        certificates: None,
        metrics: Vec::new(),
        marks: None,
        webhook_secrets: None,
        url_check: None,
    };
    let queue = QueueName::parse("q").unwrap();
    store
        .create(&queue, QueueAttributes::default())
        .await
        .unwrap();
    for _ in 0..(rate * seconds).div_ceil(500) {
        let batch = vec![OutgoingMessage::new("x".repeat(500)); 500];
        assert!(store.send(&queue, batch).await.iter().all(Result::is_ok));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(Arc::new(Service::new(ports, Settings::default())));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let head = "HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    for number in 0..100 {
        let target = format!(
            "/?Action=CreateEventRule&ProductName=oss&RuleName=r{number}&EventTypes=ObjectCreated:*&MatchRules.1.1.Prefix=b{number}/&Endpoint.EndpointType=queue&Endpoint.EndpointValue=q"
        );
        assert_eq!(
            exchange(
                &mut stream,
                &format!("POST {target} {head}"),
                &mut Vec::new()
            )
            .await,
            200
        );
    }
    let cases = [
        (
            "GetEventRule",
            format!("GET /?Action=GetEventRule&ProductName=oss&RuleName=r50 {head}"),
        ),
        (
            "ReceiveMessage",
            format!("GET /queues/q/messages?waitseconds=0 {head}"),
        ),
    ];
    for (name, request) in cases {
        let took = steady(address, request, rate, seconds).await;
        let at = |share: usize| {
            took[(took.len() * share / 1000).min(took.len() - 1)].as_secs_f64() * 1000.0
        };
        println!(
            "{name}: {} requests at {rate}/s: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            took.len(),
            at(500),
            at(990),
            at(1000)
        );
    }
}

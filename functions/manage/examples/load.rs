//! How fast `carillon up` answers, keys and signatures on, over its SQLite store: GetEventRule and ReceiveMessage at a
//! steady rate over keep-alive connections, and a long poll that waits for a message.
//!
//! Open loop: each request has a time at which it is due, whatever became of those before it, and its latency is
//! counted from then to its whole answer. A service that stalls is charged with all that came due meanwhile. Requests are
//! signed beforehand, each with a nonce of its own, so that the client takes little of the processors that it shares
//! with the service.
//!
//! ```text
//! cargo build --release && cargo run --release -p carillon-manage --example load -- [RATE] [SECONDS] [DIR]
//! ```
//!
//! `CARILLON` names the command to load (default: `target/release/carillon`), `DIR` the folder of its store (default: a
//! temporary one; name a folder of the disk in question).
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use base64::Engine as _;
use carillon_core::event::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Connections that share the rate.
const CONNECTIONS: usize = 16;
/// Messages sent and waited for, one after another.
const POLLS: usize = 200;

/// The service, killed when the example ends.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(data: &std::path::Path) -> (Up, SocketAddr) {
    let command = std::env::var("CARILLON").unwrap_or_else(|_| "target/release/carillon".into());
    let mut child = Command::new(command)
        .args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--access-key",
            "AKID:secret",
        ])
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("build it first: cargo build --release");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
    (Up(child), address)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_millis(i64::try_from(since.unwrap().as_millis()).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A management request, signed as the vendor's clients do (ACS3-HMAC-SHA256). `query` is canonical already.
fn action(name: &str, query: &str, nonce: usize) -> String {
    let hash = hex(&Sha256::digest(b""));
    let headers = format!(
        "host:127.0.0.1\nx-acs-action:{name}\nx-acs-content-sha256:{hash}\nx-acs-date:{}\nx-acs-signature-nonce:{name}-{nonce}\nx-acs-version:2022-01-19\n",
        now()
    );
    let names: Vec<&str> = headers
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    let names = names.join(";");
    let canonical = format!("POST\n/\n{query}\n{headers}\n{names}\n{hash}");
    let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(text.as_bytes());
    format!(
        "POST /?{query} HTTP/1.1\r\n{}authorization: ACS3-HMAC-SHA256 Credential=AKID,SignedHeaders={names},Signature={}\r\ncontent-length: 0\r\n\r\n",
        headers.replace('\n', "\r\n"),
        hex(&mac.finalize().into_bytes())
    )
}

/// A request of the queue interface, signed as MNS clients do (HMAC-SHA1).
fn queue(method: &str, resource: &str, body: &str) -> String {
    let date = carillon_core::push::date::http_date(now());
    let text = format!("{method}\n\n\n{date}\nx-mns-version:2015-06-06\n{resource}");
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(b"secret").unwrap();
    mac.update(text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    format!(
        "{method} {resource} HTTP/1.1\r\nhost: 127.0.0.1\r\ndate: {date}\r\nx-mns-version: 2015-06-06\r\nauthorization: MNS AKID:{signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends one request and reads its answer whole; gives the status.
async fn exchange(stream: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    buffer.clear();
    loop {
        assert!(
            stream.read_buf(buffer).await.unwrap() > 0,
            "the service hung up"
        );
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

/// Sends each request when it is due; gives the latencies, from then on, in ascending order.
async fn steady(address: SocketAddr, requests: Vec<String>, rate: u32) -> Vec<Duration> {
    let start = Instant::now() + Duration::from_millis(200);
    let mut shares: Vec<Vec<(Instant, String)>> = vec![Vec::new(); CONNECTIONS];
    for (number, request) in requests.into_iter().enumerate() {
        let due = start + Duration::from_secs(1) * u32::try_from(number).unwrap() / rate;
        shares[number % CONNECTIONS].push((due, request));
    }
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            tokio::spawn(async move {
                let mut stream = connect(address).await;
                let (mut took, mut buffer) = (Vec::new(), Vec::new());
                for (due, request) in share {
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

fn report(what: &str, took: &[Duration]) {
    let at =
        |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)].as_secs_f64() * 1000.0;
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}

/// One message after another, each waited for by a poll that was there before it; gives the time from when its sending
/// began to when the poll had it whole.
async fn polls(address: SocketAddr) -> Vec<Duration> {
    let (mut sender, mut receiver) = (connect(address).await, connect(address).await);
    let mut buffer = Vec::new();
    let mut took = Vec::new();
    for _ in 0..POLLS {
        let poll = queue("GET", "/queues/poll/messages?waitseconds=30", "");
        let waiting = async {
            let mut answer = Vec::new();
            let status = exchange(&mut receiver, &poll, &mut answer).await;
            assert_eq!(status, 200);
            Instant::now()
        };
        let sending = async {
            // So that the poll waits already.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let body = "<Message><MessageBody>here</MessageBody></Message>";
            let request = queue("POST", "/queues/poll/messages", body);
            let begun = Instant::now();
            let status = exchange(&mut sender, &request, &mut buffer).await;
            assert_eq!(status, 201);
            begun
        };
        let (got, begun) = tokio::join!(waiting, sending);
        took.push(got.saturating_duration_since(begun));
    }
    took.sort_unstable();
    took
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (rate, seconds) = (number(1000), number(10));
    let (temporary, data) = match arguments.next() {
        Some(folder) => (None, PathBuf::from(folder)),
        None => {
            let folder = std::env::temp_dir().join(format!("carillon-load-{}", std::process::id()));
            (Some(folder.clone()), folder)
        }
    };
    let (up, address) = start(&data);
    let mut stream = connect(address).await;
    let mut buffer = Vec::new();
    for name in ["q", "poll"] {
        let request = action("CreateQueue", &format!("QueueName={name}"), name.len());
        assert_eq!(exchange(&mut stream, &request, &mut buffer).await, 200);
    }
    for number in 0..100 {
        let query = format!(
            "Endpoint.EndpointType=queue&Endpoint.EndpointValue=q&EventTypes=ObjectCreated%3A%2A&MatchRules.1.1.Prefix=b{number}%2F&ProductName=oss&RuleName=r{number}"
        );
        let request = action("CreateEventRule", &query, number);
        let status = exchange(&mut stream, &request, &mut buffer).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&buffer));
    }
    let count = (rate * seconds) as usize;
    let body = format!(
        "<Message><MessageBody>{}</MessageBody></Message>",
        "x".repeat(500)
    );
    let batch = format!("<Messages>{}</Messages>", body.repeat(16));
    for _ in 0..count.div_ceil(16) {
        let request = queue("POST", "/queues/q/messages", &batch);
        assert_eq!(exchange(&mut stream, &request, &mut buffer).await, 201);
    }

    let requests = (0..count)
        .map(|number| action("GetEventRule", "ProductName=oss&RuleName=r50", number))
        .collect();
    let took = steady(address, requests, rate).await;
    report(&format!("GetEventRule, {count} at {rate}/s"), &took);
    let requests = (0..count)
        .map(|_| queue("GET", "/queues/q/messages?waitseconds=0", ""))
        .collect();
    let took = steady(address, requests, rate).await;
    report(&format!("ReceiveMessage, {count} at {rate}/s"), &took);
    report(
        &format!("a long poll, {POLLS} messages, from sending to receipt"),
        &polls(address).await,
    );
    drop(up);
    if let Some(folder) = temporary {
        let _ = std::fs::remove_dir_all(folder);
    }
}

//! What strangers can do to `carillon up`, and what they cannot: over real sockets, against the real process.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};
use support::Service;

fn connect(service: &Service) -> TcpStream {
    let address = service.url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    // Far above what anything here takes: a test that hangs must end.
    stream
        .set_read_timeout(Some(Duration::from_secs(600)))
        .unwrap();
    stream
}

/// Sends a request as it stands and reads the answer to the end of the connection.
fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn health(service: &Service) -> String {
    let request = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    exchange(&mut connect(service), request)
}

/// Reads one whole answer of a connection that stays open.
fn answer(stream: &mut TcpStream) -> String {
    let (mut text, mut chunk) = (String::new(), [0; 1024]);
    loop {
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let told = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= told.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

/// What comes until the service closes the connection, in whatever way; waiting for ever is the only failure.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let waited = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
        assert!(!waited, "the connection stays open");
    }
    String::from_utf8(bytes).unwrap()
}

/// Resident memory of a process, in KiB; none where the system does not tell.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Ten thousand connections that say nothing: a request beside them is answered, and they take bounded memory.
#[test]
fn beside_ten_thousand_idle_connections_a_request_is_answered() {
    // The test holds the other ends.
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let count = usize::try_from(limit.saturating_sub(1_000))
        .unwrap()
        .min(10_000);
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--idle-timeout", "600"]);
    let before = resident(service.pid());
    let idle: Vec<TcpStream> = (0..count).map(|_| connect(&service)).collect();
    // Half of them have begun a request and stopped.
    for mut stream in idle.iter().step_by(2) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: 12").unwrap();
    }
    assert!(health(&service).starts_with("HTTP/1.1 200"));
    let metrics = service.metrics();
    let open: usize = metrics
        .lines()
        .find_map(|line| line.strip_prefix("carillon_connections "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(open >= count, "{open} of {count} are open");
    if let (Some(before), Some(after)) = (before, resident(service.pid())) {
        let each = (after.saturating_sub(before)) * 1024 / count as u64;
        println!("{count} idle connections take {each} bytes each");
        // The allocator rounds what a connection holds up to its own sizes.
        assert!(each < 32 * 1024, "{each} bytes for each idle connection");
    }
    drop(idle);
}

#[test]
fn more_connections_than_allowed_are_turned_away_and_the_others_live_on() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--max-connections", "4"]);
    let mut held: Vec<TcpStream> = (0..4).map(|_| connect(&service)).collect();
    let request = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    for stream in &mut held {
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream);
    }
    // Turned away: the end of the stream, or a reset.
    assert_eq!(until_closed(&mut connect(&service)), "");
    for stream in &mut held {
        stream.write_all(request.as_bytes()).unwrap();
        assert!(answer(stream).starts_with("HTTP/1.1 200"));
    }
    drop(held);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &["--idle-timeout", "1"]);
    // Never said a word; said half a word; was answered once and said no more.
    for said in [
        "",
        "GET /healthz HT",
        "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    ] {
        let mut stream = connect(&service);
        // On a slow machine it may be closed before that.
        let _ = stream.write_all(said.as_bytes());
        until_closed(&mut stream);
    }
    // Nor need a second be enough to ask in.
    let answered = (0..100).any(|_| {
        let mut stream = connect(&service);
        let request = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(request.as_bytes());
        until_closed(&mut stream).starts_with("HTTP/1.1 200")
    });
    assert!(answered);
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    let many: String = (0..200).fold(String::new(), |mut text, n| {
        let _ = write!(text, "x-{n}: y\r\n");
        text
    });
    let long = format!("x: {}\r\n", "y".repeat(200 * 1024));
    for headers in [many, long] {
        let mut stream = connect(&service);
        let request = format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n");
        // The answer may come, and the connection end, before all is written.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap_or(0);
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(length == 0 || text.starts_with("HTTP/1.1 431"), "{text}");
    }
    assert!(health(&service).starts_with("HTTP/1.1 200"));
}

/// A page that had its own name resolved to this machine (DNS rebinding), and one that posts a form here.
#[test]
fn a_page_from_elsewhere_is_not_answered() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), &[]);
    for headers in [
        "host: rebound.example:9324",
        "host: 127.0.0.1\r\norigin: https://evil.example",
        "host: 127.0.0.1\r\nsec-fetch-site: cross-site",
    ] {
        let request = format!(
            "POST /?Action=CreateQueue&QueueName=q HTTP/1.1\r\n{headers}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let answer = exchange(&mut connect(&service), &request);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(!answer.contains("access-control-allow"), "{answer}");
    }
    let queues = service.run(&["queue", "list", "--json"]).json();
    assert_eq!(queues, serde_json::json!([]));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A request signed as the vendor's clients sign (ACS3-HMAC-SHA256).
fn signed(host: &str, action: &str) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let millis = i64::try_from(now.as_millis()).unwrap();
    let date = carillon_core::event::Timestamp::from_millis(millis).to_iso();
    let hash = hex(&Sha256::digest(b""));
    let headers = format!(
        "host:{host}\nx-acs-action:{action}\nx-acs-content-sha256:{hash}\nx-acs-date:{date}\nx-acs-signature-nonce:once\nx-acs-version:2022-01-19\n"
    );
    let names: Vec<&str> = headers
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    let names = names.join(";");
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{hash}");
    let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(text.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    let lines = headers.replace('\n', "\r\n");
    format!(
        "POST / HTTP/1.1\r\n{lines}authorization: ACS3-HMAC-SHA256 Credential=AKID,SignedHeaders={names},Signature={signature}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

/// A request that somebody wrote down is refused when it comes again, also after the process was killed and started anew.
#[test]
fn a_request_cannot_be_replayed_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--access-key", "AKID:secret"];
    let service = Service::start(data.path(), &arguments);
    // What the client signed is the host it sees; the port of the second process is another.
    let request = signed("bells.example", "ListQueue");
    let first = exchange(&mut connect(&service), &request);
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let again = exchange(&mut connect(&service), &request);
    assert!(again.contains("SignatureNonceUsed"), "{again}");
    service.kill();
    let service = Service::start(data.path(), &arguments);
    let replayed = exchange(&mut connect(&service), &request);
    assert!(replayed.contains("SignatureNonceUsed"), "{replayed}");
}

/// What waits for news ends when the service is asked to stop, and tells so.
#[cfg(unix)]
#[test]
fn long_polls_do_not_hold_up_the_end() {
    // Whether the service has read a request when it is told to stop, nobody outside can know. One that it has not is
    // answered by the end of its connection; then all is done once more.
    let told = (0..20).any(|_| {
        let answers = polls_at_the_end();
        for answer in answers.iter().filter(|answer| !answer.is_empty()) {
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains("ServiceUnavailable"), "{answer}");
            // The vendor's clients read nothing of a refusal that lacks one of its members.
            let whole = [
                ["<RequestId>", "<HostId>", "x-mns-request-id: ", "text/xml"],
                [
                    "\"RequestId\":\"",
                    "\"Message\":\"",
                    "x-acs-request-id: ",
                    "application/json",
                ],
            ]
            .iter()
            .any(|form| form.iter().all(|part| answer.contains(part)));
            assert!(whole, "{answer}");
        }
        answers.iter().all(|answer| !answer.is_empty())
    });
    assert!(told, "polls end without an answer");
}

/// What two long polls are answered by a service that is asked to stop.
#[cfg(unix)]
fn polls_at_the_end() -> [String; 2] {
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::start(data.path(), &[]);
    service.run(&["queue", "create", "q"]).ok();
    let polls = [
        "GET /queues/q/messages?waitseconds=30 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        "POST /?WaitSeconds=30 HTTP/1.1\r\nhost: 127.0.0.1\r\nx-acs-action: FollowDeliveries\r\ncontent-length: 0\r\n\r\n",
    ]
    .map(|request| {
        let mut stream = connect(&service);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    });
    assert!(health(&service).starts_with("HTTP/1.1 200"));
    service.terminate();
    let answers = polls.map(|mut stream| until_closed(&mut stream));
    assert!(service.ended().success());
    answers
}

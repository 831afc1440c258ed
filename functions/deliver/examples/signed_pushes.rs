//! Pushes signed notifications of every format to a receiver on loopback, and prints what arrived there as JSON, with
//! the certificate and the keys a receiver would be given. Verifiers in other languages read it
//! (`tests/signatures/run.sh`).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool of the tests"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use carillon_core::event::Timestamp;
use carillon_core::ports::{Certificates as _, Clock, SigningKeyKind, WebhookKeys as _};
use carillon_core::push::guard::AddressGuard;
use carillon_core::topic::{ContentFormat, Target};
use carillon_deliver::dial::{Dialler, DiallerSettings};
use carillon_deliver::signing::{FileKeyStore, Signing, SigningSettings};
use std::sync::Arc;
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The verifiers hold timestamps against the time of day.
struct TimeOfDay;

impl Clock for TimeOfDay {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TimeOfDay);

    let directory = std::env::temp_dir().join(format!("carillon-signed-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let store = FileKeyStore::new(&directory);
    let settings = SigningSettings {
        mns: true,
        webhooks: true,
        certificate_base: format!("http://{address}/certs/"),
    };
    let signing = Arc::new(
        Signing::open(&store, clock.clone(), settings)
            .await
            .unwrap(),
    );

    let mut printed = Vec::new();
    for rotated in [false, true] {
        if rotated {
            for kind in [SigningKeyKind::Mns, SigningKeyKind::Webhooks] {
                signing.rotate(&store, kind).await.unwrap();
            }
        }
        for format in [
            ContentFormat::Xml,
            ContentFormat::Json,
            ContentFormat::Simplified,
        ] {
            for path in ["/hook?a=1&b=%20c", "", "?only=query"] {
                let mut web = subscription("web", Target::Http(format!("http://{address}{path}")));
                web.format = format;
                let mut world = World::new(vec![web.clone()]);
                world.ports.clock = clock.clone();
                world.ports.signer = signing.clone();
                world.ports.http = Arc::new(Dialler::new(DiallerSettings {
                    guard: AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]),
                    ..DiallerSettings::default()
                }));
                let mut pushed = delivery("web", 42);
                pushed.notification.body = r#"{"text":"<a> & \"b\" 花"}"#.into();
                pushed.notification.published = clock.now();
                pushed.notification.tag = Some("urgent".into());
                let batch = [record(&pack(&[pushed]))];
                let (failed, request) = tokio::join!(world.run(&batch), receive(&listener));
                assert!(failed.is_empty());
                let (head, body) = request;
                let mut lines = head.split("\r\n");
                let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
                let headers: Vec<(&str, &str)> =
                    lines.filter_map(|line| line.split_once(": ")).collect();
                let keys = signing.keys(&web).unwrap();
                let url = signing.certificate_url().unwrap();
                let file = url.rsplit('/').next().unwrap();
                printed.push(serde_json::json!({
                    "format": format.as_str(), "target": target, "headers": headers, "body": body,
                    "certificate_url": url, "certificate": signing.pem(file).unwrap(),
                    "secrets": keys.secrets, "public_keys": keys.public_keys,
                }));
            }
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
    println!("{}", serde_json::to_string_pretty(&printed).unwrap());
}

/// One request, answered 204: its head and its body, byte for byte.
async fn receive(listener: &TcpListener) -> (String, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap();
        assert!(n > 0, "the request ended early");
        seen.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split("\r\n")
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            return (head.to_owned(), body.to_owned());
        }
    }
}

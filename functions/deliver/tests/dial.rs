//! The dialler: what it resolves, what it refuses to dial, whom it trusts.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::ports::{HttpDialler as _, PushFailure, PushRequest, PushResponse};
use carillon_core::push::guard::AddressGuard;
use carillon_deliver::dial::{Dialler, DiallerSettings, Resolve, TlsRoots};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::tls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers look-ups in the order given; the last answer stays.
struct Scripted(Mutex<VecDeque<io::Result<Vec<IpAddr>>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse =
            |answer: &&[&str]| Ok(answer.iter().map(|text| text.parse().unwrap()).collect());
        Arc::new(Scripted(Mutex::new(answers.iter().map(parse).collect())))
    }
}

#[async_trait::async_trait]
impl Resolve for Scripted {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn dialler(resolver: Arc<dyn Resolve>, allow: &str, roots: TlsRoots) -> Dialler {
    let guard = AddressGuard::allowing(vec![allow.parse().unwrap()]);
    Dialler::new(DiallerSettings {
        guard,
        roots,
        resolver,
    })
}

async fn push(dialler: &Dialler, url: String) -> Result<PushResponse, PushFailure> {
    // Long, so that an answer comes in time on however slow a machine.
    push_within(Duration::from_secs(600), dialler, url).await
}

async fn push_within(
    timeout: Duration,
    dialler: &Dialler,
    url: String,
) -> Result<PushResponse, PushFailure> {
    let request = PushRequest {
        url,
        headers: vec![("content-type", "text/plain".into())],
        body: "hello".into(),
        timeout,
    };
    dialler.push(request).await
}

/// Where silence is to come to its end.
const SHORT: Duration = Duration::from_millis(500);

/// Answers one request a connection with 204; counts connections.
async fn receiver() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut chunk = [0; 4096];
            let mut seen = Vec::new();
            while !seen.ends_with(b"hello") {
                match stream.read(&mut chunk).await {
                    Ok(n) if n > 0 => seen.extend_from_slice(&chunk[..n]),
                    _ => break,
                }
            }
            let _ = stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await;
        }
    });
    (address, connections)
}

#[tokio::test]
async fn a_name_is_dialled_where_it_resolves_to() {
    let (address, _) = receiver().await;
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    let dialler = dialler(resolver, "127.0.0.1/32", TlsRoots::default());
    let answer = push(
        &dialler,
        format!("http://web.example.com:{}/x", address.port()),
    )
    .await;
    assert_eq!(answer.unwrap().status, 204);
}

#[tokio::test]
async fn when_any_address_is_refused_none_is_dialled() {
    let (address, connections) = receiver().await;
    for mixed in [
        &["127.0.0.1", "10.0.0.1"][..],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8", "fd00::1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &["::1"],
        &["0.0.0.0"],
    ] {
        let dialler = dialler(Scripted::new(&[mixed]), "127.0.0.1/32", TlsRoots::default());
        let answer = push(
            &dialler,
            format!("http://web.example.com:{}/x", address.port()),
        )
        .await;
        assert!(
            matches!(answer, Err(PushFailure::Refused(_))),
            "{mixed:?}: {answer:?}"
        );
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_is_rebound_between_two_dials_is_refused_at_the_second() {
    let (address, connections) = receiver().await;
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]]);
    let dialler = dialler(resolver, "127.0.0.1/32", TlsRoots::default());
    let url = || format!("http://web.example.com:{}/x", address.port());
    assert_eq!(push(&dialler, url()).await.unwrap().status, 204);
    assert!(matches!(
        push(&dialler, url()).await,
        Err(PushFailure::Refused(_))
    ));
    assert_eq!(push(&dialler, url()).await.unwrap().status, 204);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn literals_and_bad_urls_never_reach_the_resolver() {
    let (address, connections) = receiver().await;
    let port = address.port();
    for host in [
        "127.0.0.2",
        "[::ffff:127.0.0.2]",
        "[::1]",
        "0x7f.1",
        "2130706433",
        "127.1",
        "user@127.0.0.1",
        "metadata",
    ] {
        // A resolver without answers hangs: it must not be asked.
        let dialler = dialler(Scripted::new(&[]), "127.0.0.1/32", TlsRoots::default());
        let answer = push(&dialler, format!("http://{host}:{port}/x")).await;
        assert!(
            matches!(answer, Err(PushFailure::Refused(_))),
            "{host}: {answer:?}"
        );
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    let empty = dialler(Scripted::new(&[&[]]), "127.0.0.1/32", TlsRoots::default());
    let answer = push(&empty, "http://web.example.com/".into()).await;
    assert!(matches!(answer, Err(PushFailure::Dns(_))), "{answer:?}");
    let failing = Arc::new(Scripted(Mutex::new(
        [Err(io::Error::other("SERVFAIL"))].into(),
    )));
    let answer = push(
        &dialler(failing, "127.0.0.1/32", TlsRoots::default()),
        "http://web.example.com/".into(),
    )
    .await;
    assert!(matches!(answer, Err(PushFailure::Dns(_))), "{answer:?}");
    let silent = dialler(Scripted::new(&[]), "127.0.0.1/32", TlsRoots::default());
    let answer = push_within(SHORT, &silent, "http://web.example.com/".into()).await;
    assert!(matches!(answer, Err(PushFailure::Timeout(_))), "{answer:?}");
}

#[tokio::test]
async fn a_dead_address_gives_way_to_the_next() {
    let (address, _) = receiver().await;
    // Nothing listens on that port of the first address.
    let dialler = dialler(
        Scripted::new(&[&["127.0.0.9", "127.0.0.1"]]),
        "127.0.0.0/8",
        TlsRoots::default(),
    );
    let answer = push(
        &dialler,
        format!("http://web.example.com:{}/x", address.port()),
    )
    .await;
    assert_eq!(answer.unwrap().status, 204);
}

#[tokio::test]
async fn https_speaks_http_2_where_the_server_does_and_http_1_where_not() {
    for (alpn, want) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (address, roots) = tls::receiver("web.example.com", alpn).await;
        let dialler = dialler(Scripted::new(&[&["127.0.0.1"]]), "127.0.0.1/32", roots);
        for _ in 0..2 {
            // The second goes over the same connection: the resolver has one answer.
            let answer = push(
                &dialler,
                format!("https://web.example.com:{}/x", address.port()),
            )
            .await
            .unwrap();
            assert_eq!(
                (answer.status, answer.excerpt.starts_with(want)),
                (200, true),
                "{alpn:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn tls_trusts_the_right_name_and_the_right_root_alone() {
    let (address, roots) = tls::receiver("web.example.com", &["http/1.1"]).await;
    let port = address.port();
    for (url, roots) in [
        (format!("https://other.example.com:{port}/x"), roots.clone()),
        (format!("https://127.0.0.1:{port}/x"), roots.clone()),
        (
            format!("https://web.example.com:{port}/x"),
            TlsRoots::default(),
        ),
    ] {
        let dialler = dialler(Scripted::new(&[&["127.0.0.1"]]), "127.0.0.1/32", roots);
        let answer = push(&dialler, url.clone()).await;
        assert!(
            matches!(answer, Err(PushFailure::Tls(_))),
            "{url}: {answer:?}"
        );
    }
    // It waits for a body that never comes: whoever speaks no TLS says nothing, here.
    let (plain, _) = receiver().await;
    let dialler = dialler(Scripted::new(&[]), "127.0.0.1/32", TlsRoots::default());
    let url = format!("https://127.0.0.1:{}/x", plain.port());
    let answer = push_within(SHORT, &dialler, url).await;
    assert!(matches!(answer, Err(PushFailure::Timeout(_))), "{answer:?}");
}

#[test]
fn roots_that_cannot_be_read_are_told() {
    for bad in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    ] {
        let error = TlsRoots::none().with_pem(bad).unwrap_err();
        assert!(error.to_string().contains("trusted roots"), "{error}");
    }
}

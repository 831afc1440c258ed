//! Hostile and broken receivers over real sockets on loopback: each ends as one logged attempt of the right class, and
//! none holds the sender longer than its timeout.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::delivery::{OutcomeClass, OutcomeClass::*};
use carillon_core::ports::{HttpDialler, PushFailure, PushRequest, PushResponse};
use carillon_core::push::guard::AddressGuard;
use carillon_core::topic::{Subscription, Target};
use carillon_deliver::dial::{Dialler, DiallerSettings, Resolve};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The real dialler with a patience of its own.
struct With(Duration, Dialler);

/// Where silence is to come to its end. Whatever else such a receiver says in that time must not matter.
const SHORT: Duration = Duration::from_millis(400);
/// Where an answer is expected, on however slow a machine.
const LONG: Duration = Duration::from_secs(600);
/// A test that hangs fails; nothing is asserted about how fast it is.
const HANGS: Duration = Duration::from_secs(900);

#[async_trait::async_trait]
impl HttpDialler for With {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, PushFailure> {
        self.1
            .push(PushRequest {
                timeout: self.0,
                ..request
            })
            .await
    }
}

fn dialler_with(patience: Duration) -> Arc<dyn HttpDialler> {
    let dialler = Dialler::new(DiallerSettings {
        guard: AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]),
        ..DiallerSettings::default()
    });
    Arc::new(With(patience, dialler))
}

fn dialler() -> Arc<dyn HttpDialler> {
    dialler_with(LONG)
}

/// A receiver that handles every connection so, and how many connections there were.
async fn receiver<F, R>(handle: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(handle(stream));
        }
    });
    (address, connections)
}

/// Reads one request, head and body.
async fn request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return false,
            Ok(n) => seen.extend_from_slice(&chunk[..n]),
        }
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split("\r\n")
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return true;
        }
    }
}

/// What one push came to.
#[derive(Debug)]
struct Ended {
    class: OutcomeClass,
    status: Option<u16>,
    detail: String,
    delay: Option<Duration>,
}

/// Pushes one delivery through the handler and the real dialler.
async fn push(http: Arc<dyn HttpDialler>, web: Subscription) -> Ended {
    let mut world = World::new(vec![web]);
    world.ports.http = http;
    let batch = [record(&pack(&[delivery("web", 1)]))];
    let failed = tokio::time::timeout(HANGS, world.run(&batch))
        .await
        .expect("the push must end");
    assert!(failed.is_empty());
    let log = world.log.0.lock().unwrap();
    assert_eq!(log.len(), 1, "one attempt, one line");
    let outcome = &log[0].attempt.outcome;
    let delay = world.resent().first().map(|(_, delay)| *delay);
    assert_eq!(delay.is_some(), outcome.class == Retry);
    assert_eq!(
        world.dead.kept.lock().unwrap().len(),
        usize::from(outcome.class == Hopeless)
    );
    Ended {
        class: outcome.class,
        status: outcome.status,
        detail: outcome.detail.clone(),
        delay,
    }
}

fn web(address: SocketAddr) -> Subscription {
    subscription("web", Target::Http(format!("http://{address}/hook")))
}

/// Pushes to a receiver that answers every request with these bytes and then closes.
async fn answered(bytes: impl AsRef<[u8]>) -> Ended {
    let bytes: Arc<[u8]> = bytes.as_ref().into();
    let (address, _) = receiver(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            if request(&mut stream).await {
                let _ = stream.write_all(&bytes).await;
            }
        }
    })
    .await;
    push(dialler(), web(address)).await
}

/// Pushes to a receiver that says this first, and then the other again and again.
async fn endless(patience: Duration, first: &'static str, then: &'static str) -> Ended {
    let (address, _) = receiver(move |mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(first.as_bytes()).await;
        while stream.write_all(then.as_bytes()).await.is_ok() {}
    })
    .await;
    push(dialler_with(patience), web(address)).await
}

/// Pushes to a receiver that says this and then nothing, for ever.
async fn then_silent(patience: Duration, first: &'static str) -> Ended {
    let (address, _) = receiver(move |mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(first.as_bytes()).await;
        std::future::pending().await
    })
    .await;
    push(dialler_with(patience), web(address)).await
}

#[tokio::test]
async fn silence_before_the_status_is_a_timeout() {
    for said in [
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nx-slow: ",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let ended = then_silent(SHORT, said).await;
        assert_eq!(
            (ended.class, ended.status),
            (Retry, None),
            "{said:?}: {ended:?}"
        );
        assert!(ended.detail.contains("timed out"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_status_decides_whatever_becomes_of_the_body() {
    for (said, class, status) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nslow",
            Success,
            200,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nslo",
            Success,
            200,
        ),
        (
            "HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\nslow",
            Retry,
            503,
        ),
    ] {
        let ended = then_silent(LONG, said).await;
        assert_eq!(
            (ended.class, ended.status),
            (class, Some(status)),
            "{said:?}: {ended:?}"
        );
    }
    for (said, class, status) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut",
            Success,
            200,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk\r\n",
            Success,
            200,
        ),
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\ncut",
            Retry,
            500,
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\nas of old, until the end",
            Success,
            200,
        ),
    ] {
        let ended = answered(said).await;
        assert_eq!(
            (ended.class, ended.status),
            (class, Some(status)),
            "{said:?}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn an_endless_body_is_read_a_little_and_left() {
    let ended = endless(LONG, "HTTP/1.1 200 OK\r\n\r\n", "and on and on ").await;
    assert_eq!((ended.class, ended.status), (Success, Some(200)));
    let ended = endless(LONG, "HTTP/1.1 500 Oops\r\n\r\n", "\u{1b}[31mred\r\n").await;
    assert_eq!((ended.class, ended.status), (Retry, Some(500)));
    assert!(!ended.detail.is_empty() && ended.detail.chars().count() <= 240);
    assert!(!ended.detail.contains(char::is_control), "{ended:?}");
}

#[tokio::test]
async fn a_storm_of_interim_answers_ends_with_the_timeout_and_a_few_do_no_harm() {
    let ended = endless(SHORT, "", "HTTP/1.1 102 Processing\r\n\r\n").await;
    assert_eq!((ended.class, ended.status), (Retry, None), "{ended:?}");
    let few = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(20)
        + "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(answered(few).await.status, Some(204));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_status_is_retried() {
    for read_first in [true, false] {
        for reset in [true, false] {
            let (address, _) = receiver(move |mut stream| async move {
                if read_first {
                    request(&mut stream).await;
                }
                if reset {
                    stream.set_zero_linger().unwrap();
                }
            })
            .await;
            let ended = push(dialler(), web(address)).await;
            assert_eq!(
                (ended.class, ended.status),
                (Retry, None),
                "{read_first} {reset}: {ended:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_retried() {
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    for said in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "hello",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "\0\0\0\0",
        "",
        twice,
        &huge,
        &many,
    ] {
        let ended = answered(said).await;
        let said: String = said.chars().take(60).collect();
        assert_eq!(
            (ended.class, ended.status),
            (Retry, None),
            "{said:?}: {ended:?}"
        );
    }
    let ended = endless(LONG, "HTTP/1.1 200 OK\r\n", "x-more: and more\r\n").await;
    assert_eq!((ended.class, ended.status), (Retry, None), "{ended:?}");
}

#[tokio::test]
async fn odd_statuses_and_wishes() {
    let ended =
        answered("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
            .await;
    assert_eq!(ended.class, Retry, "{ended:?}");
    for wish in [
        "31536000",
        "99999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let ended = answered(format!(
            "HTTP/1.1 429 Slow down\r\nretry-after: {wish}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        assert_eq!(
            (ended.class, ended.delay),
            (Retry, Some(Duration::from_secs(900))),
            "{wish}"
        );
    }
    let ended =
        answered("HTTP/1.1 429 Slow down\r\nretry-after: -5\r\ncontent-length: 0\r\n\r\n").await;
    assert!(ended.delay.unwrap() <= Duration::from_secs(20));
    assert_eq!(
        answered("HTTP/1.1 410 Gone\r\ncontent-length: 4\r\n\r\nbye!")
            .await
            .class,
        Hopeless
    );
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and not listening: the port is nobody else's meanwhile.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = silent.local_addr().unwrap();
    let ended = push(dialler(), web(address)).await;
    assert_eq!((ended.class, ended.status), (Retry, None));
    assert!(ended.detail.contains("no connection"), "{ended:?}");
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let (second, visits) = receiver(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: http://{second}/\r\ncontent-length: 0\r\n\r\n"
        );
        let ended = answered(answer).await;
        assert_eq!((ended.class, ended.status), (Success, Some(status)));
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_many_pushes() {
    let (address, connections) = receiver(|mut stream| async move {
        while request(&mut stream).await {
            stream.write_all(OK).await.unwrap();
        }
    })
    .await;
    let http = dialler();
    for n in 0..9 {
        let ended = push(http.clone(), web(address)).await;
        assert_eq!(ended.class, Success, "push {n}: {ended:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_nobody_used_it_does_no_harm() {
    let (noticed, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let (address, connections) = receiver(move |mut stream| {
        let noticed = noticed.clone();
        async move {
            for _ in 0..3 {
                assert!(request(&mut stream).await);
                stream.write_all(OK).await.unwrap();
            }
            // Closed without a word; the client closes its side when it has noticed.
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
            noticed.send(()).unwrap();
        }
    })
    .await;
    let http = dialler();
    for n in 0..9 {
        let ended = push(http.clone(), web(address)).await;
        assert_eq!(ended.class, Success, "push {n}: {ended:?}");
        if n % 3 == 2 {
            tokio::time::timeout(HANGS, closed.recv())
                .await
                .unwrap()
                .unwrap();
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connection_that_is_closed_under_a_push_costs_that_push_a_retry_alone() {
    let (address, connections) = receiver(|mut stream| async move {
        assert!(request(&mut stream).await);
        stream.write_all(OK).await.unwrap();
        // The second is read and not answered: whether it was acted on nobody can know.
        request(&mut stream).await;
    })
    .await;
    let http = dialler();
    for n in 0..6 {
        let ended = push(http.clone(), web(address)).await;
        let want = if n % 2 == 0 {
            (Success, Some(200))
        } else {
            (Retry, None)
        };
        assert_eq!((ended.class, ended.status), want, "push {n}: {ended:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_answer_to_the_head_alone_counts() {
    let (address, _) = receiver(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let refused = b"HTTP/1.1 413 Too large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refused).await.unwrap();
        stream.shutdown().await.unwrap();
        // The rest is read, so that the answer is not cut off by a reset.
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let ended = push(dialler(), web(address)).await;
    assert_eq!(
        (ended.class, ended.status),
        (Hopeless, Some(413)),
        "{ended:?}"
    );
}

/// One look-up for every name: loopback.
struct Here;

#[async_trait::async_trait]
impl Resolve for Here {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

#[tokio::test]
async fn tls_under_another_name_or_none_at_all_is_retried() {
    let (address, roots) = tls::receiver("web.example.com", &["http/1.1"]).await;
    let (plain, _) = receiver(|mut stream| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 400 Not TLS\r\ncontent-length: 0\r\n\r\n")
            .await;
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let (port, plain) = (address.port(), plain.port());
    for (url, class, status) in [
        (
            format!("https://web.example.com:{port}/"),
            Success,
            Some(200),
        ),
        (format!("https://other.example.com:{port}/"), Retry, None),
        (format!("https://127.0.0.1:{port}/"), Retry, None),
        (format!("https://web.example.com:{plain}/"), Retry, None),
    ] {
        let dialler = Dialler::new(DiallerSettings {
            guard: AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]),
            roots: roots.clone(),
            resolver: Arc::new(Here),
        });
        let ended = push(
            Arc::new(With(LONG, dialler)),
            subscription("web", Target::Http(url.clone())),
        )
        .await;
        assert_eq!(
            (ended.class, ended.status),
            (class, status),
            "{url}: {ended:?}"
        );
        assert_eq!(
            ended.detail.contains("TLS"),
            class == Retry,
            "{url}: {ended:?}"
        );
    }
}

/// The certificate that most people make first says in words what is wrong with it.
#[tokio::test]
async fn a_self_signed_certificate_is_told_in_words() {
    let (address, _) = tls::authority("web.example.com").await;
    let dialler = Dialler::new(DiallerSettings {
        guard: AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]),
        resolver: Arc::new(Here),
        ..DiallerSettings::default()
    });
    let url = format!("https://web.example.com:{}/", address.port());
    let web = subscription("web", Target::Http(url));
    let ended = push(Arc::new(With(LONG, dialler)), web).await;
    assert_eq!((ended.class, ended.status), (Retry, None), "{ended:?}");
    assert!(ended.detail.contains("self-signed"), "{ended:?}");
}

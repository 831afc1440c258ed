//! A receiver that costs as little as one can: it finds the ends of requests and answers 204.

use super::processor::Thread;
use super::{Begun, Rate};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// As many bytes as an unsigned SIMPLIFIED push has.
const FLOOR_BODY: usize = 900;

/// A receiver on a thread of its own, so that what it costs can be told apart.
pub(super) struct Receiver {
    address: SocketAddr,
    answered: Arc<AtomicU64>,
    thread: Thread,
    _stop: oneshot::Sender<()>,
}

impl Receiver {
    pub(super) async fn start() -> io::Result<Self> {
        let answered = Arc::new(AtomicU64::new(0));
        let counted = answered.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, listening) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let serving = runtime.and_then(|runtime| {
                let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
                Ok((listener.local_addr()?, runtime, listener))
            });
            match serving {
                Ok((address, runtime, listener)) => {
                    // Nobody waits for it only when the benchmark is over already.
                    let _ = ready.send(Ok((address, Thread::this())));
                    runtime.block_on(async {
                        let accepting = std::pin::pin!(accept(listener, counted));
                        futures_util::future::select(accepting, stopped).await;
                    });
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        });
        let (address, thread) = listening.await.map_err(io::Error::other)??;
        Ok(Receiver {
            address,
            answered,
            thread,
            _stop: stop,
        })
    }

    /// Processor time it has used.
    pub(super) fn used(&self) -> Option<Duration> {
        self.thread.used()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests a second over this many connections with nothing in between.
    pub(super) async fn floor(&self, phase: Duration, connections: usize) -> io::Result<Rate> {
        let before = self.answered();
        let begun = Begun::now(self);
        let request: Arc<[u8]> = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {FLOOR_BODY}\r\n\r\n{}",
            "x".repeat(FLOOR_BODY)
        )
        .into_bytes()
        .into();
        let mut tasks = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let request = request.clone();
            tasks.push(tokio::spawn(async move {
                let mut answer = [0; ANSWER.len()];
                while begun.at.elapsed() < phase {
                    stream.write_all(&request).await?;
                    stream.read_exact(&mut answer).await?;
                }
                io::Result::Ok(())
            }));
        }
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(begun.tally(self.answered() - before, self).rate())
    }
}

async fn accept(listener: TcpListener, answered: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, answered.clone()));
    }
}

async fn answer(mut stream: TcpStream, answered: Arc<AtomicU64>) {
    // A connection that cannot be tuned is slow, not wrong.
    let _ = stream.set_nodelay(true);
    let mut held = Vec::with_capacity(16 * 1024);
    loop {
        while let Some(length) = request_length(&held) {
            if held.len() < length {
                break;
            }
            held.drain(..length);
            answered.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut held).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Bytes of the first request, once its head is there.
fn request_length(held: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = held.windows(4).position(|window| window == b"\r\n\r\n")?;
    let at = held[..head]
        .windows(NAME.len())
        .position(|window| window == NAME)?;
    let digits = held[at + NAME.len()..head]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0_usize, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    Some(head + 4 + body)
}

//! Senders by the clock and consumers by the queue interface.

use super::super::workload::{QUEUE, body, number_of};
use super::latency::Latencies;
use super::wire::Wire;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seconds that a receive waits for messages.
const POLL: &str = "2";
/// Pause after a request that broke or was refused.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What is sent, and what became of it.
pub(super) struct Traffic {
    pub(super) host: String,
    pub(super) rules: usize,
    pub(super) per_body: usize,
    pub(super) bodies: usize,
    /// Events a second; none: as fast as they are taken.
    pub(super) rate: Option<f64>,
    /// The first event's number.
    pub(super) first: usize,
    pub(super) began: Instant,
    next: AtomicU64,
    /// When each body was due, in microseconds since the beginning: the time from which its events are counted, however
    /// late the sender was.
    due: Vec<AtomicU64>,
    /// How often each event came.
    seen: Vec<AtomicU16>,
    pub(super) accepted: AtomicU64,
    pub(super) accepted_at: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) received_at: AtomicU64,
    /// From due to received.
    pub(super) arrival: Latencies,
    /// From due to accepted.
    pub(super) acceptance: Latencies,
    done: AtomicBool,
}

impl Traffic {
    pub(super) fn new(
        host: &str,
        rules: usize,
        per_body: usize,
        events: usize,
        rate: Option<f64>,
        first: usize,
    ) -> Arc<Self> {
        let bodies = events.div_ceil(per_body);
        Arc::new(Traffic {
            host: host.to_owned(),
            rules,
            per_body,
            bodies,
            rate,
            first,
            began: Instant::now(),
            next: AtomicU64::new(0),
            due: (0..bodies).map(|_| AtomicU64::new(0)).collect(),
            seen: (0..bodies * per_body).map(|_| AtomicU16::new(0)).collect(),
            accepted: AtomicU64::new(0),
            accepted_at: AtomicU64::new(1),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
            received_at: AtomicU64::new(1),
            arrival: Latencies::new(),
            acceptance: Latencies::new(),
            done: AtomicBool::new(false),
        })
    }

    pub(super) fn events(&self) -> usize {
        self.bodies * self.per_body
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Ends the consumers.
    pub(super) fn stop(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// Events that did not come so often as they should, and copies beyond that.
    pub(super) fn missing_and_surplus(&self, each: u16) -> (u64, u64) {
        self.seen.iter().fold((0, 0), |(missing, surplus), seen| {
            let seen = seen.load(Ordering::Relaxed);
            (
                missing + u64::from(each.saturating_sub(seen)),
                surplus + u64::from(seen.saturating_sub(each)),
            )
        })
    }

    /// One lane of the sender: takes the next body, waits for its time, sends it until it is accepted.
    pub(super) async fn send(self: Arc<Self>) -> io::Result<()> {
        let mut wire = Wire::connect(&self.host).await?;
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(due) = usize::try_from(index)
                .ok()
                .and_then(|index| self.due.get(index))
            else {
                return Ok(());
            };
            let number = self.first + index as usize * self.per_body;
            let text = body(number, self.rules, self.per_body);
            let due_at = match self.rate {
                Some(rate) => (index as f64 * self.per_body as f64 / rate * 1e6) as u64,
                None => self.micros(),
            };
            let early = due_at.saturating_sub(self.micros());
            if early > 0 {
                tokio::time::sleep(Duration::from_micros(early)).await;
            }
            due.store(due_at, Ordering::Relaxed);
            loop {
                match wire.ask("POST", "/events", text.as_bytes()).await {
                    Ok((200, _)) => break,
                    Ok(_) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(AFTER_FAILURE).await;
                    }
                    Err(_) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(AFTER_FAILURE).await;
                        wire = Wire::connect(&self.host).await?;
                    }
                }
            }
            let now = self.micros();
            self.acceptance.count(now.saturating_sub(due_at));
            self.accepted
                .fetch_add(self.per_body as u64, Ordering::Relaxed);
            self.accepted_at.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// A consumer: receives and deletes by sixteen, as MNS has it, until it is stopped.
    pub(super) async fn consume(self: Arc<Self>) -> io::Result<()> {
        let mut wire = Wire::connect(&self.host).await?;
        let receive = format!("/queues/{QUEUE}/messages?numOfMessages=16&waitseconds={POLL}");
        let delete = format!("/queues/{QUEUE}/messages");
        let mut receipts = String::new();
        while !self.done.load(Ordering::Relaxed) {
            let (status, answer) = wire.ask("GET", &receive, b"").await?;
            if status != 200 {
                // 404: nothing came within the wait.
                continue;
            }
            let answer = std::str::from_utf8(answer).unwrap_or_default();
            receipts.clear();
            receipts.push_str("<ReceiptHandles>");
            self.take(answer, &mut receipts);
            receipts.push_str("</ReceiptHandles>");
            let (status, _) = wire.ask("DELETE", &delete, receipts.as_bytes()).await?;
            if status != 204 {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Reads the messages of an answer, and writes their receipts down.
    fn take(&self, answer: &str, receipts: &mut String) {
        use base64::Engine as _;
        let now = self.micros();
        let mut count = 0;
        let mut rest = answer;
        let mut decoded = Vec::with_capacity(1024);
        while let Some((receipt, after)) = between(rest, "<ReceiptHandle>", "</ReceiptHandle>") {
            receipts.push_str("<ReceiptHandle>");
            receipts.push_str(receipt);
            receipts.push_str("</ReceiptHandle>");
            let Some((text, after)) = between(after, "<MessageBody>", "</MessageBody>") else {
                break;
            };
            rest = after;
            decoded.clear();
            let engine = base64::engine::general_purpose::STANDARD;
            if engine.decode_vec(text, &mut decoded).is_err() {
                continue;
            }
            let number = std::str::from_utf8(&decoded).ok().and_then(number_of);
            let Some(index) = number.and_then(|number| number.checked_sub(self.first)) else {
                continue;
            };
            if let Some(seen) = self.seen.get(index) {
                count += 1;
                seen.fetch_add(1, Ordering::Relaxed);
                let due = self.due[index / self.per_body].load(Ordering::Relaxed);
                self.arrival.count(now.saturating_sub(due));
            }
        }
        self.received.fetch_add(count, Ordering::Relaxed);
        self.received_at.fetch_max(now, Ordering::Relaxed);
    }
}

/// What stands between two marks, and what follows.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<(&'a str, &'a str)> {
    let (_, text) = text.split_once(from)?;
    text.split_once(to)
}

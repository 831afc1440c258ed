//! Long polls.

use super::Ports;
use super::queues::{make, name, send};
use carillon_core::ports::{Message, OutgoingMessage, QueueAttributes, QueueError};
use std::time::Duration;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
type Waiting = JoinHandle<Result<Vec<Message>, QueueError>>;

/// Begins to wait for up to `wait` on the queue `orders`.
fn wait(ports: &Ports, wait: Option<Duration>) -> Waiting {
    let consumer = ports.consumer.clone();
    tokio::spawn(async move { consumer.receive(&name("orders"), 10, wait).await })
}

/// Lets time pass until the wait is over.
async fn until_over(ports: &Ports, waiting: Waiting) -> Vec<Message> {
    while !waiting.is_finished() {
        ports.pass(SECOND).await;
        tokio::task::yield_now().await;
    }
    waiting.await.unwrap().unwrap()
}

/// Also of a message sent long after the wait began.
pub async fn a_wait_ends_with_an_arrival(ports: Ports) {
    make(&ports, &name("orders")).await;
    let waiting = wait(&ports, Some(20 * SECOND));
    let id = send(&ports, &name("orders"), "a").await;
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].id, id);
}

/// No polling is needed for it.
pub async fn a_wait_ends_when_a_delay_does(ports: Ports) {
    make(&ports, &name("orders")).await;
    let delayed = OutgoingMessage {
        delay: 2 * SECOND,
        ..OutgoingMessage::new("later".to_owned())
    };
    ports.sender.send(&name("orders"), vec![delayed]).await;
    let waiting = wait(&ports, Some(20 * SECOND));
    ports.pass(2 * SECOND).await;
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received[0].body, "later");
}

/// A message that its first receiver forgot.
pub async fn a_wait_ends_when_a_visibility_timeout_does(ports: Ports) {
    make(&ports, &name("orders")).await;
    send(&ports, &name("orders"), "forgotten").await;
    assert_eq!(
        ports
            .consumer
            .receive(&name("orders"), 1, None)
            .await
            .unwrap()
            .len(),
        1
    );
    let waiting = wait(&ports, Some(20 * SECOND));
    ports.pass(2 * SECOND).await;
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received[0].receive_count, 2);
}

/// Nothing came: an empty answer.
pub async fn a_wait_ends_empty_in_time(ports: Ports) {
    make(&ports, &name("orders")).await;
    let waiting = wait(&ports, Some(3 * SECOND));
    assert!(until_over(&ports, waiting).await.is_empty());
}

/// Without a wait of its own, a request waits as long as the queue says.
pub async fn the_queue_knows_how_long_to_wait(ports: Ports) {
    let attributes = QueueAttributes {
        polling_wait_seconds: 20,
        ..QueueAttributes::default()
    };
    ports
        .admin
        .create(&name("orders"), attributes)
        .await
        .unwrap();
    let none = ports
        .consumer
        .receive(&name("orders"), 1, Some(Duration::ZERO))
        .await;
    assert_eq!(none, Ok(Vec::new()));
    let waiting = wait(&ports, None);
    send(&ports, &name("orders"), "a").await;
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
}

/// And none is lost between them.
pub async fn each_message_goes_to_one_of_those_who_wait(ports: Ports) {
    make(&ports, &name("orders")).await;
    let waiting: Vec<Waiting> = (0..8).map(|_| wait(&ports, Some(20 * SECOND))).collect();
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(send(&ports, &name("orders"), "a").await);
    }
    let mut received: Vec<String> = Vec::new();
    for waiting in waiting {
        let messages = until_over(&ports, waiting).await;
        received.extend(messages.into_iter().map(|message| message.id));
    }
    // Some may have taken several, and others waited in vain.
    received.sort_unstable();
    received.dedup();
    sent.sort_unstable();
    assert_eq!(received, sent);
}

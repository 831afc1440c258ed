//! Users' queues.

use super::{Ability, Ports};
use carillon_core::ports::{
    Message, OutgoingMessage, PropertyType, QueueAttributes, QueueError, QueueStatistics, Receipt,
    UserProperty,
};
use carillon_core::topic::QueueName;
use std::time::Duration;

/// A queue's name.
pub(super) fn name(text: &str) -> QueueName {
    QueueName::parse(text).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);
const NOW: Option<Duration> = Some(Duration::ZERO);

/// Makes a queue with short times, so that a backend of real time can pass them too.
pub(super) async fn make(ports: &Ports, queue: &QueueName) {
    let attributes = QueueAttributes {
        visibility_timeout: 2,
        ..QueueAttributes::default()
    };
    assert_eq!(ports.admin.create(queue, attributes).await, Ok(true));
}

/// Sends one message; gives its id.
pub(super) async fn send(ports: &Ports, queue: &QueueName, body: &str) -> String {
    let sent = ports
        .sender
        .send(queue, vec![OutgoingMessage::new(body.to_owned())])
        .await;
    assert_eq!(sent.len(), 1);
    sent.into_iter().next().unwrap().unwrap()
}

async fn receive(ports: &Ports, queue: &QueueName) -> Vec<Message> {
    ports.consumer.receive(queue, 10, NOW).await.unwrap()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.body.as_str())
        .collect()
}

fn receipt(message: &Message) -> Receipt {
    message
        .receipt
        .clone()
        .expect("a received message has a receipt")
}

async fn delete(ports: &Ports, queue: &QueueName, receipt: Receipt) -> Result<(), QueueError> {
    let mut results = ports.consumer.delete(queue, &[receipt]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// Equal attributes: nothing happens. Others: refused.
pub async fn making_a_queue_twice(ports: Ports) {
    let queue = name("orders");
    let attributes = QueueAttributes {
        delay_seconds: 3,
        ..QueueAttributes::default()
    };
    assert_eq!(
        ports.admin.create(&queue, attributes.clone()).await,
        Ok(true)
    );
    assert_eq!(
        ports.admin.create(&queue, attributes.clone()).await,
        Ok(false)
    );
    let other = ports.admin.create(&queue, QueueAttributes::default()).await;
    assert_eq!(other, Err(QueueError::AlreadyExist("orders".to_owned())));
    assert_eq!(
        ports.admin.get(&queue).await.unwrap().attributes,
        attributes
    );
}

/// Every request on a queue that is not there says so.
pub async fn what_is_not_there(ports: Ports) {
    let queue = name("nowhere");
    let missing = || QueueError::NotExist("nowhere".to_owned());
    let message = || OutgoingMessage::new("x".to_owned());
    let receipt = Receipt("nothing".to_owned());
    let sent = ports.sender.send(&queue, vec![message(), message()]).await;
    assert_eq!(sent, [Err(missing()), Err(missing())]);
    assert_eq!(ports.consumer.receive(&queue, 1, NOW).await, Err(missing()));
    if ports.can(Ability::Peek) {
        assert_eq!(ports.consumer.peek(&queue, 1).await, Err(missing()));
    }
    let deleted = ports
        .consumer
        .delete(&queue, std::slice::from_ref(&receipt))
        .await;
    assert_eq!(deleted, Err(missing()));
    let changed = ports
        .consumer
        .change_visibility(&queue, &receipt, SECOND)
        .await;
    assert_eq!(changed, Err(missing()));
    assert_eq!(ports.admin.get(&queue).await, Err(missing()));
    let attributes = QueueAttributes::default();
    assert_eq!(
        ports.admin.set_attributes(&queue, attributes).await,
        Err(missing())
    );
    assert_eq!(ports.admin.delete(&queue).await, Ok(false));
}

/// Bodies are carried byte for byte.
pub async fn a_message_arrives_as_it_was_sent(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    let long = "x".repeat(65_536);
    for body in [
        "plain",
        "",
        "通知 🔔 \u{e9}",
        "<a>&amp;</a>\r\n\t\"'\\",
        long.as_str(),
    ] {
        // SQS takes no empty message; whoever can does not change it.
        let sent = ports
            .sender
            .send(&queue, vec![OutgoingMessage::new(body.to_owned())])
            .await;
        let id = match &sent[0] {
            Ok(id) => id,
            Err(QueueError::Refused(_)) if body.is_empty() => continue,
            Err(error) => panic!("{error}"),
        };
        assert!(
            id.len() == 32
                && id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)),
            "{id}"
        );
        let before = ports.now();
        let received = receive(&ports, &queue).await;
        assert_eq!(received.len(), 1);
        let message = &received[0];
        assert_eq!((&message.body, &message.id), (&body.to_owned(), id));
        assert_eq!(message.receive_count, 1);
        assert_eq!(message.priority, Message::DEFAULT_PRIORITY);
        assert!(message.first_received >= message.enqueued);
        if ports.can(Ability::LongTimes) {
            assert_eq!(message.enqueued, before);
            assert_eq!(message.first_received, before);
            assert_eq!(message.next_visible, before.plus(2 * SECOND));
        }
        assert_eq!(delete(&ports, &queue, receipt(message)).await, Ok(()));
    }
    ports.pass(3 * SECOND).await;
    assert!(receive(&ports, &queue).await.is_empty());
}

/// One body too large does not keep the others from being sent.
pub async fn a_body_too_large_fails_alone(ports: Ports) {
    let queue = name("orders");
    let attributes = QueueAttributes {
        maximum_message_size: 1_024,
        ..QueueAttributes::default()
    };
    ports.admin.create(&queue, attributes).await.unwrap();
    // 1 024 bytes in 1 022 characters: the limit counts bytes.
    let fits = format!("{}é", "x".repeat(1_022));
    let messages = [fits.clone(), "x".repeat(1_025), "small".to_owned()]
        .map(OutgoingMessage::new)
        .to_vec();
    let sent = ports.sender.send(&queue, messages).await;
    assert!(sent[0].is_ok() && sent[2].is_ok());
    let expected = QueueError::TooLarge {
        queue: "orders".to_owned(),
        len: 1_025,
        limit: 1_024,
    };
    assert_eq!(sent[1], Err(expected));
    let mut received = receive(&ports, &queue).await;
    received.extend(receive(&ports, &queue).await);
    let mut bodies = bodies(&received);
    bodies.sort_unstable();
    assert_eq!(bodies, ["small", &fits]);
}

/// It comes again when the visibility timeout has run out, and is counted.
pub async fn a_received_message_is_invisible_for_a_while(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    let id = send(&ports, &queue, "a").await;
    let first = receive(&ports, &queue).await;
    assert_eq!(bodies(&first), ["a"]);
    assert!(receive(&ports, &queue).await.is_empty());
    ports.pass(3 * SECOND).await;
    let second = receive(&ports, &queue).await;
    assert_eq!(bodies(&second), ["a"]);
    assert_eq!((second[0].receive_count, &second[0].id), (2, &id));
    assert_eq!(second[0].enqueued, first[0].enqueued);
    assert_eq!(second[0].first_received, first[0].first_received);
    assert_ne!(second[0].receipt, first[0].receipt);
}

/// A receipt outlives its visibility timeout only until somebody else receives the message.
pub async fn receipts_become_void(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    send(&ports, &queue, "a").await;
    let first = receipt(&receive(&ports, &queue).await[0]);
    ports.pass(3 * SECOND).await;
    let second = receipt(&receive(&ports, &queue).await[0]);
    if ports.can(Ability::LongTimes) {
        // SQS answers such a delete with success and leaves the message.
        assert_eq!(
            delete(&ports, &queue, first.clone()).await,
            Err(QueueError::ReceiptVoid)
        );
        let changed = ports
            .consumer
            .change_visibility(&queue, &first, SECOND)
            .await;
        assert_eq!(changed, Err(QueueError::ReceiptVoid));
        // A receipt is of one queue.
        make(&ports, &name("other")).await;
        assert_eq!(
            delete(&ports, &name("other"), second.clone()).await,
            Err(QueueError::ReceiptVoid)
        );
        for nonsense in [
            "",
            "-",
            "1-",
            "zz-zz",
            "1-1-1",
            "ffffffffffffffffffff-0",
            "+1-2",
            "é-é",
        ] {
            let answer = delete(&ports, &queue, Receipt(nonsense.to_owned())).await;
            assert_eq!(answer, Err(QueueError::ReceiptInvalid), "{nonsense:?}");
        }
    }
    ports.pass(3 * SECOND).await;
    // Run out, but taken by nobody since.
    assert_eq!(delete(&ports, &queue, second.clone()).await, Ok(()));
    assert!(receive(&ports, &queue).await.is_empty());
    if ports.can(Ability::LongTimes) {
        assert_eq!(
            delete(&ports, &queue, second).await,
            Err(QueueError::ReceiptVoid)
        );
    }
}

/// The old receipt is void from then on.
pub async fn changing_visibility_gives_a_new_receipt(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    send(&ports, &queue, "a").await;
    let old = receipt(&receive(&ports, &queue).await[0]);
    let before = ports.now();
    let (new, visible) = ports
        .consumer
        .change_visibility(&queue, &old, 5 * SECOND)
        .await
        .unwrap();
    if ports.can(Ability::LongTimes) {
        assert_ne!(old, new);
        assert_eq!(visible, before.plus(5 * SECOND));
        assert_eq!(
            delete(&ports, &queue, old).await,
            Err(QueueError::ReceiptVoid)
        );
    }
    // Longer than the queue's own timeout: still held.
    ports.pass(3 * SECOND).await;
    assert!(receive(&ports, &queue).await.is_empty());
    let (newest, _) = ports
        .consumer
        .change_visibility(&queue, &new, Duration::ZERO)
        .await
        .unwrap();
    let again = receive(&ports, &queue).await;
    assert_eq!(again[0].receive_count, 2);
    if ports.can(Ability::LongTimes) {
        assert_eq!(
            delete(&ports, &queue, newest).await,
            Err(QueueError::ReceiptVoid)
        );
        let too_long = Duration::from_secs(43_201);
        let changed = ports
            .consumer
            .change_visibility(&queue, &receipt(&again[0]), too_long)
            .await;
        assert!(
            matches!(changed, Err(QueueError::Refused(_))),
            "{changed:?}"
        );
    }
}

/// A message's own delay goes before the queue's.
pub async fn delays_of_queue_and_message(ports: Ports) {
    let queue = name("orders");
    let attributes = QueueAttributes {
        delay_seconds: 4,
        ..QueueAttributes::default()
    };
    ports.admin.create(&queue, attributes).await.unwrap();
    let delayed = |body: &str, delay| OutgoingMessage {
        delay,
        ..OutgoingMessage::new(body.to_owned())
    };
    let messages = vec![
        delayed("queue's", Duration::ZERO),
        delayed("sooner", 2 * SECOND),
        delayed("later", 8 * SECOND),
        OutgoingMessage {
            at_once: true,
            ..delayed("at once", Duration::ZERO)
        },
    ];
    for sent in ports.sender.send(&queue, messages).await {
        sent.unwrap();
    }
    assert_eq!(bodies(&receive(&ports, &queue).await), ["at once"]);
    assert!(receive(&ports, &queue).await.is_empty());
    ports.pass(3 * SECOND).await;
    assert_eq!(bodies(&receive(&ports, &queue).await), ["sooner"]);
    ports.pass(2 * SECOND).await;
    assert_eq!(bodies(&receive(&ports, &queue).await), ["queue's"]);
    ports.pass(4 * SECOND).await;
    let last = receive(&ports, &queue).await;
    assert_eq!(bodies(&last), ["later"]);
    assert_eq!(last[0].receive_count, 1);
}

/// After the retention period a message is gone.
pub async fn messages_expire(ports: Ports) {
    if !ports.can(Ability::LongTimes) {
        return;
    }
    let queue = name("orders");
    let attributes = QueueAttributes {
        message_retention_period: 60,
        ..QueueAttributes::default()
    };
    ports.admin.create(&queue, attributes).await.unwrap();
    send(&ports, &queue, "old").await;
    ports.pass(59 * SECOND).await;
    send(&ports, &queue, "young").await;
    assert_eq!(
        bodies(&ports.consumer.peek(&queue, 10).await.unwrap()),
        ["old", "young"]
    );
    ports.pass(SECOND).await;
    assert_eq!(
        bodies(&ports.consumer.peek(&queue, 10).await.unwrap()),
        ["young"]
    );
    assert_eq!(bodies(&receive(&ports, &queue).await), ["young"]);
    let numbers = ports.admin.get(&queue).await.unwrap().statistics;
    assert_eq!(
        numbers,
        QueueStatistics {
            active: 0,
            inactive: 1,
            delayed: 0
        }
    );
}

/// The clock of retention is not restarted by the move (MNS, "Dead-letter queue").
pub async fn received_too_often_goes_to_the_dead_letter_queue(ports: Ports) {
    let (queue, dead) = (name("orders"), name("orders-dead"));
    make(&ports, &dead).await;
    let attributes = QueueAttributes {
        visibility_timeout: 1,
        max_receive_count: Some(2),
        dead_letter_queue: Some(dead.clone()),
        ..QueueAttributes::default()
    };
    ports.admin.create(&queue, attributes).await.unwrap();
    let id = send(&ports, &queue, "poison").await;
    let sent = ports.now();
    let mut last = None;
    for round in 1..=2 {
        let received = receive(&ports, &queue).await;
        assert_eq!(received[0].receive_count, round);
        last = received.into_iter().next();
        ports.pass(2 * SECOND).await;
    }
    assert!(receive(&ports, &queue).await.is_empty());
    let moved = ports
        .consumer
        .receive(&dead, 10, Some(5 * SECOND))
        .await
        .unwrap();
    assert_eq!(bodies(&moved), ["poison"]);
    assert_eq!(moved[0].id, id);
    if ports.can(Ability::LongTimes) {
        assert_eq!(moved[0].enqueued, sent);
        assert_eq!(moved[0].receive_count, 1);
        // The receipts of its former life are void.
        let old = receipt(&last.unwrap());
        assert_eq!(
            delete(&ports, &queue, old.clone()).await,
            Err(QueueError::ReceiptVoid)
        );
        assert_eq!(
            delete(&ports, &dead, old).await,
            Err(QueueError::ReceiptVoid)
        );
        // Without its dead-letter queue, a message stays where it is.
        assert_eq!(ports.admin.delete(&dead).await, Ok(true));
        send(&ports, &queue, "stays").await;
        for round in 1..=4 {
            assert_eq!(receive(&ports, &queue).await[0].receive_count, round);
            ports.pass(2 * SECOND).await;
        }
    }
}

/// 1 is the highest.
pub async fn priorities_come_first(ports: Ports) {
    if !ports.can(Ability::Priority) {
        return;
    }
    let queue = name("orders");
    make(&ports, &queue).await;
    let with = |priority: Option<u8>| OutgoingMessage {
        priority,
        ..OutgoingMessage::new(format!("{priority:?}"))
    };
    let messages = [Some(16), None, Some(1), Some(9), Some(7)]
        .map(with)
        .to_vec();
    for sent in ports.sender.send(&queue, messages).await {
        sent.unwrap();
    }
    let received = receive(&ports, &queue).await;
    let priorities: Vec<u8> = received.iter().map(|message| message.priority).collect();
    assert_eq!(priorities, [1, 7, 8, 9, 16]);
    let refused = ports
        .sender
        .send(&queue, vec![with(Some(0)), with(Some(17))])
        .await;
    for result in refused {
        assert!(matches!(result, Err(QueueError::Refused(_))), "{result:?}");
    }
}

/// They come back beside the body, whoever takes it; and they count to its size.
pub async fn properties_come_back(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    let property = |name: &str, kind, value: &str| {
        UserProperty::new(name.to_owned(), kind, value.to_owned()).unwrap()
    };
    let given = vec![
        property("binary", PropertyType::Binary, "AAH/"),
        property("boolean", PropertyType::Boolean, "true"),
        property("city", PropertyType::String, "杭州 <&>"),
        property("number", PropertyType::Number, "-1.5e3"),
    ];
    let with = OutgoingMessage {
        properties: given.clone(),
        ..OutgoingMessage::new("with".to_owned())
    };
    let large = OutgoingMessage {
        body: "x".repeat(65_536),
        ..with.clone()
    };
    let without = OutgoingMessage::new("without".to_owned());
    let sent = ports.sender.send(&queue, vec![with, without, large]).await;
    assert!(sent[0].is_ok() && sent[1].is_ok(), "{sent:?}");
    if ports.can(Ability::WholeSizes) {
        let refused = matches!(sent[2], Err(QueueError::TooLarge { .. }));
        assert!(refused, "{:?}", sent[2]);
    }
    let held = |messages: &[Message], body: &str| {
        let found = messages.iter().find(|message| message.body == body);
        found.unwrap().properties.clone()
    };
    if ports.can(Ability::Peek) {
        let seen = ports.consumer.peek(&queue, 16).await.unwrap();
        assert_eq!(held(&seen, "with"), given);
    }
    let received = receive(&ports, &queue).await;
    assert_eq!(held(&received, "with"), given);
    assert_eq!(held(&received, "without"), []);
}

/// It gives no receipt and counts no reception.
pub async fn a_peek_takes_nothing(ports: Ports) {
    if !ports.can(Ability::Peek) {
        return;
    }
    let queue = name("orders");
    make(&ports, &queue).await;
    let id = send(&ports, &queue, "a").await;
    send(&ports, &queue, "b").await;
    for _ in 0..2 {
        let seen = ports.consumer.peek(&queue, 1).await.unwrap();
        assert_eq!(bodies(&seen), ["a"]);
        assert_eq!(
            (&seen[0].id, &seen[0].receipt, seen[0].receive_count),
            (&id, &None, 0)
        );
        assert_eq!(seen[0].first_received, seen[0].enqueued);
    }
    assert_eq!(bodies(&receive(&ports, &queue).await), ["a", "b"]);
    assert!(ports.consumer.peek(&queue, 16).await.unwrap().is_empty());
}

/// Active, inactive, delayed.
pub async fn numbers_of_messages(ports: Ports) {
    if !ports.can(Ability::ExactStatistics) {
        return;
    }
    let queue = name("orders");
    make(&ports, &queue).await;
    let delayed = OutgoingMessage {
        delay: 5 * SECOND,
        ..OutgoingMessage::new("later".to_owned())
    };
    for body in ["a", "b", "c"] {
        send(&ports, &queue, body).await;
    }
    ports.sender.send(&queue, vec![delayed]).await;
    let received = ports.consumer.receive(&queue, 2, NOW).await.unwrap();
    let numbers = async || {
        let numbers = ports.admin.get(&queue).await.unwrap().statistics;
        (numbers.active, numbers.inactive, numbers.delayed)
    };
    assert_eq!(numbers().await, (1, 2, 1));
    assert_eq!(delete(&ports, &queue, receipt(&received[0])).await, Ok(()));
    assert_eq!(numbers().await, (1, 1, 1));
    ports.pass(2 * SECOND).await;
    assert_eq!(numbers().await, (2, 0, 1));
    ports.pass(3 * SECOND).await;
    assert_eq!(numbers().await, (3, 0, 0));
}

/// And deleted queues are not listed.
pub async fn lists_are_by_prefix_and_in_order(ports: Ports) {
    for queue in ["b", "a-2", "a-1", "A-1", "a-10"] {
        make(&ports, &name(queue)).await;
    }
    let names = async |prefix: &str| -> Vec<String> {
        let queues = ports.admin.list(prefix).await.unwrap();
        queues
            .into_iter()
            .map(|queue| queue.name.to_string())
            .collect()
    };
    assert_eq!(names("a-").await, ["a-1", "a-10", "a-2"]);
    assert_eq!(names("").await, ["A-1", "a-1", "a-10", "a-2", "b"]);
    assert!(names("c").await.is_empty());
    assert_eq!(ports.admin.delete(&name("a-1")).await, Ok(true));
    assert_eq!(names("a").await, ["a-10", "a-2"]);
}

/// A queue made again under the name is empty.
pub async fn a_deleted_queue_takes_its_messages_along(ports: Ports) {
    if !ports.can(Ability::LongTimes) {
        // SQS wants a minute between the two.
        return;
    }
    let queue = name("orders");
    make(&ports, &queue).await;
    send(&ports, &queue, "a").await;
    let old = receipt(&receive(&ports, &queue).await[0]);
    send(&ports, &queue, "b").await;
    assert_eq!(ports.admin.delete(&queue).await, Ok(true));
    assert_eq!(ports.admin.delete(&queue).await, Ok(false));
    make(&ports, &queue).await;
    ports.pass(Duration::from_secs(60)).await;
    assert!(receive(&ports, &queue).await.is_empty());
    assert_eq!(
        delete(&ports, &queue, old).await,
        Err(QueueError::ReceiptVoid)
    );
    assert_eq!(
        ports.admin.get(&queue).await.unwrap().statistics,
        QueueStatistics::default()
    );
}

/// Changed attributes count from then on, and the time of the change is told.
pub async fn attributes_change_and_are_kept(ports: Ports) {
    let queue = name("orders");
    make(&ports, &queue).await;
    let made = ports.admin.get(&queue).await.unwrap();
    ports.pass(SECOND).await;
    let attributes = QueueAttributes {
        visibility_timeout: 40,
        polling_wait_seconds: 1,
        logging_enabled: made.attributes.logging_enabled,
        ..QueueAttributes::default()
    };
    ports
        .admin
        .set_attributes(&queue, attributes.clone())
        .await
        .unwrap();
    let changed = ports.admin.get(&queue).await.unwrap();
    assert_eq!(changed.attributes, attributes);
    assert_eq!(changed.created, made.created);
    assert!(changed.modified > made.modified);
    send(&ports, &queue, "a").await;
    assert_eq!(receive(&ports, &queue).await.len(), 1);
    ports.pass(3 * SECOND).await;
    assert!(receive(&ports, &queue).await.is_empty());
    let unsound = QueueAttributes {
        visibility_timeout: 43_201,
        ..attributes
    };
    let refused = ports.admin.set_attributes(&queue, unsound).await;
    assert!(
        matches!(refused, Err(QueueError::Refused(_))),
        "{refused:?}"
    );
}

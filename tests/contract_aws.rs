//! The contract of the storage ports, on DynamoDB and SQS: against an emulator, since the cases make and delete queues
//! by the dozen. `make test-cloud` starts one and names it in `CARILLON_CONTRACT_ENDPOINT`.

use carillon_aws::{
    Clients, DynamoDeadLetters, DynamoMarks, DynamoRules, DynamoSizes, DynamoWindow, EventBucket,
    Queues, Secret, StageQueues, StageUrls, SystemClock,
};
use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, Stage};
use carillon_deliver::cloud::KeyDocument;
use carillon_tests::contract::{
    Ability, Ports, keys::Ports as KeyPorts, letters::Ports as LetterPorts,
};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Clients of the emulator and a name of the case's own, with `prepare` done.
fn emulator<F: Future<Output = ()>>(
    prepare: impl FnOnce(Arc<Clients>, String) -> F + Send + 'static,
) -> (Arc<Clients>, String) {
    let endpoint = std::env::var("CARILLON_CONTRACT_ENDPOINT").expect(
        "name an emulator's endpoint in CARILLON_CONTRACT_ENDPOINT, or run `make test-cloud`",
    );
    let name = format!(
        "contract-{}-{}",
        std::process::id(),
        MADE.fetch_add(1, Ordering::Relaxed)
    );
    let clients = std::thread::spawn({
        let name = name.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let clients = Arc::new(Clients::connect_to(&endpoint).await);
                prepare(clients.clone(), name).await;
                clients
            })
        }
    });
    (clients.join().expect("the emulator was prepared"), name)
}

/// Ports over a table and a queue prefix of their own.
fn ports() -> Ports {
    let (clients, name) = emulator(|clients, name| async move {
        let made = clients.make_table(&name).await;
        made.expect("the emulator makes a table");
    });
    let queues = Arc::new(Queues::new(&clients, &format!("{name}-")));
    Ports {
        rules: Arc::new(DynamoRules::new(&clients, &name)),
        sender: queues.clone(),
        consumer: queues.clone(),
        admin: queues,
        marks: Arc::new(DynamoMarks::new(&clients, &name)),
        sizes: Arc::new(DynamoSizes::new(&clients, &name)),
        window: Arc::new(DynamoWindow::new(&clients, &name)),
        clock: Arc::new(SystemClock),
        pass: Arc::new(|time| Box::pin(tokio::time::sleep(time))),
        lacks: vec![
            Ability::Priority,
            Ability::Peek,
            Ability::LongTimes,
            Ability::ExactStatistics,
            // SQS counts attributes (SQS quotas: message size), the emulator does not.
            Ability::WholeSizes,
        ],
        keep: None,
    }
}

carillon_tests::contract!(ports);

struct StoppedClock(AtomicI64);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Makes the queues of the stages; their URLs.
async fn make_stages(clients: &Clients, name: &str) -> StageUrls {
    let mut urls = Vec::new();
    for stage in ["ingest", "match", "deliver"] {
        let queue = clients
            .sqs()
            .create_queue()
            .queue_name(format!("{name}-{stage}"));
        let answer = queue.send().await.expect("the emulator makes a queue");
        urls.push(answer.queue_url().map(str::to_owned));
    }
    let mut urls = urls.into_iter().flatten();
    StageUrls {
        ingest: urls.next(),
        r#match: urls.next(),
        deliver: urls.next(),
    }
}

/// An archive in a bucket of its own, before queues of its own.
fn archive() -> carillon_tests::contract::archive::Ports {
    let stages = Arc::new(OnceLock::new());
    let (clients, name) = emulator({
        let stages = stages.clone();
        |clients, name| async move {
            let made = clients.s3().create_bucket().bucket(&name).send().await;
            made.expect("the emulator makes a bucket");
            let _ = stages.set(make_stages(&clients, &name).await);
        }
    });
    let stages = stages.get().expect("set above").clone();
    let clock = Arc::new(StoppedClock(AtomicI64::new(1_700_000_000_000)));
    let stages = StageQueues::new(&clients, stages);
    let bucket = Arc::new(EventBucket::new(&clients, &name, stages, clock.clone()));
    carillon_tests::contract::archive::Ports {
        stages: bucket.clone(),
        archive: bucket,
        clock: clock.clone(),
        pass: Arc::new(move |time| {
            let by = i64::try_from(time.as_millis()).expect("cases wait for days at most");
            clock.0.fetch_add(by, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        }),
        keep: None,
    }
}

carillon_tests::archive_contract!(archive);

/// Dead letters in a table of their own, before queues of their own.
fn letters() -> LetterPorts {
    let stages = Arc::new(OnceLock::new());
    let (clients, name) = emulator({
        let stages = stages.clone();
        |clients, name| async move {
            let made = clients.make_table(&name).await;
            made.expect("the emulator makes a table");
            let _ = stages.set(make_stages(&clients, &name).await);
        }
    });
    let stages = stages.get().expect("set above").clone();
    let store = DynamoDeadLetters::new(&clients, &name, 14)
        .with_stages(StageQueues::new(&clients, stages.clone()));
    let store = Arc::new(store);
    LetterPorts {
        store: store.clone(),
        admin: store,
        take: Arc::new(move |stage: Stage, most| {
            let (clients, url) = (clients.clone(), stages.of(stage).map(str::to_owned));
            Box::pin(async move {
                let receive = clients.sqs().receive_message().set_queue_url(url);
                let receive = receive.max_number_of_messages(10).wait_time_seconds(2);
                let mut taken = Vec::new();
                while taken.len() < most {
                    let answer = receive.clone().send().await;
                    let answer = answer.expect("the emulator gives messages");
                    let messages = answer.messages.unwrap_or_default();
                    taken.extend(messages.into_iter().filter_map(|message| message.body));
                }
                taken
            })
        }),
        keep: None,
    }
}

carillon_tests::letters_contract!(letters);

fn keys() -> KeyPorts {
    let (clients, name) = emulator(|clients, name| async move {
        let made = clients.secrets().create_secret().name(name).send().await;
        made.expect("the emulator makes a secret");
    });
    KeyPorts {
        store: Arc::new(KeyDocument(Secret::new(&clients, &name))),
        keep: None,
    }
}

carillon_tests::keys_contract!(keys);

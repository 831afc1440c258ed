//! The contract of the storage ports, on DynamoDB and SQS: against an emulator, since the cases make and delete queues
//! by the dozen. `make test-cloud` starts one and names it in `CARILLON_CONTRACT_ENDPOINT`.

use carillon_aws::{
    Clients, DynamoMarks, DynamoRules, DynamoSizes, DynamoWindow, Queues, SystemClock,
};
use carillon_tests::contract::{Ability, Ports};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Ports over a table and a queue prefix of their own.
fn ports() -> Ports {
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
                let clients = Clients::connect_to(&endpoint).await;
                clients
                    .make_table(&name)
                    .await
                    .expect("the emulator makes a table");
                clients
            })
        }
    });
    let clients = clients.join().expect("the table was made");
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
        ],
        keep: None,
    }
}

carillon_tests::contract!(ports);

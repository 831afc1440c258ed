//! The control plane alone, over a temporary store: what the vendor's SDKs are tested against.
//!
//! ```text
//! cargo run -p carillon-manage --example serve -- [ID:SECRET[:ROLE]]...
//! ```
//!
//! Listens on a free port of 127.0.0.1, prints `listening on http://ADDR`, and ends with its standard input.
#![allow(clippy::print_stdout)]

use carillon_core::ports::{PublishError, PublishReceipt, Publisher, Submission};
use carillon_embedded::{Settings as StoreSettings, Store, SystemClock, SystemRandom};
use carillon_manage::{AccessKey, Ports, Role, Service, Settings, router};
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

/// Counts bodies: the stages that would judge them are not here.
struct Counts;

#[async_trait::async_trait]
impl Publisher for Counts {
    async fn publish(&self, _: Submission) -> Result<PublishReceipt, PublishError> {
        Ok(PublishReceipt {
            accepted: 1,
            ..PublishReceipt::default()
        })
    }
}

fn key(text: &str) -> Option<AccessKey> {
    let mut parts = text.split(':');
    let (id, secret) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let role = parts.next().map_or(Some(Role::Admin), Role::parse)?;
    Some(AccessKey { id, secret, role })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let access_keys: Option<Vec<_>> = std::env::args().skip(1).map(|text| key(&text)).collect();
    let access_keys = access_keys.ok_or("give keys as ID:SECRET or ID:SECRET:ROLE")?;
    let store = Arc::new(Store::open_temporary(StoreSettings::default())?);
    let ports = Ports {
        rules: store.clone(),
        queues: store.clone(),
        sender: store.clone(),
        consumer: store.clone(),
        publisher: Arc::new(Counts),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        attempts: Some(store.clone()),
        dead_letters: Some(store.clone()),
        certificates: None,
        metrics: Vec::new(),
        marks: None,
        webhook_secrets: None,
        url_check: None,
    };
    let service = Service::new(
        ports,
        Settings {
            access_keys,
            ..Settings::default()
        },
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router(Arc::new(service)))
        .with_graceful_shutdown(async {
            // Whoever started us holds the other end: a test that dies takes us with it.
            let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
        })
        .await?;
    store.close().await;
    Ok(())
}

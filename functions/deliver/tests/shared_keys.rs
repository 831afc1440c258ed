//! Keys that other processes turn over, over a store that counts and that can fall silent. The clock is the test's; tokio's
//! time is stopped, and passes when everybody waits.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, StoreError};
use carillon_deliver::signing::{CertificatePlace, KeyStore, SharedKeys, Signing, SigningSettings};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct World {
    now: AtomicI64,
    silent: AtomicBool,
    loads: AtomicUsize,
    document: Mutex<Option<String>>,
    put: Mutex<Vec<String>>,
}

impl World {
    fn later(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    fn put(&self) -> usize {
        self.put.lock().unwrap().len()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
}

#[async_trait::async_trait]
impl KeyStore for World {
    async fn load(&self) -> Result<Option<String>, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(self.document.lock().unwrap().clone())
    }

    async fn create(&self, document: &str) -> Result<(), StoreError> {
        let mut held = self.document.lock().unwrap();
        held.get_or_insert_with(|| document.to_owned());
        Ok(())
    }

    async fn replace(&self, held: &str, document: &str) -> Result<bool, StoreError> {
        let mut stands = self.document.lock().unwrap();
        let same = stands.as_deref() == Some(held);
        if same {
            *stands = Some(document.to_owned());
        }
        Ok(same)
    }
}

#[async_trait::async_trait]
impl CertificatePlace for World {
    async fn put(&self, file: &str, _: &str) -> Result<(), StoreError> {
        self.put.lock().unwrap().push(file.to_owned());
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

fn settings() -> SigningSettings {
    SigningSettings {
        mns: true,
        webhooks: true,
        certificate_base: "https://example.com/certs/".to_owned(),
    }
}

async fn opened() -> (Arc<World>, SharedKeys) {
    let world = Arc::new(World::default());
    let keys = SharedKeys::new(world.clone(), world.clone(), world.clone(), settings());
    keys.open().await.unwrap();
    (world, keys)
}

#[tokio::test]
async fn a_certificate_is_put_in_its_place_once_and_a_new_one_when_there_is_one() {
    let (world, keys) = opened().await;
    assert_eq!(world.put(), 1);
    let loads = world.loads();
    for minute in 1..=5 {
        world.later(Duration::from_secs(60));
        keys.keep_fresh().await;
        keys.keep_fresh().await;
        assert_eq!(world.loads(), loads + minute);
    }
    assert_eq!(world.put(), 1, "{:?}", world.put);

    let other = Signing::open(&*world, world.clone(), settings()).await;
    let kind = carillon_core::ports::SigningKeyKind::Mns;
    other.unwrap().rotate(&*world, kind).await.unwrap();
    world.later(Duration::from_secs(60));
    keys.keep_fresh().await;
    assert_eq!(world.put(), 2, "{:?}", world.put);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_falls_silent_holds_no_batch_up() {
    let (world, keys) = opened().await;
    world.silent.store(true, Ordering::SeqCst);
    world.later(Duration::from_secs(60));
    let began = tokio::time::Instant::now();
    keys.keep_fresh().await;
    assert!(began.elapsed() <= Duration::from_secs(3));
    // Nor the next one: it is asked again when its time has come.
    let loads = world.loads();
    keys.keep_fresh().await;
    assert_eq!(world.loads(), loads);
}

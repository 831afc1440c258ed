//! The key document. Who wins a race is not among the cases: a data directory has one writer, and of the others a double
//! knows more than an emulator (shared/aws/tests/keys.rs).

use carillon_deliver::signing::KeyStore;
use std::sync::Arc;

/// A place for a document that was never written.
#[derive(Clone)]
pub struct Ports {
    /// The place.
    pub store: Arc<dyn KeyStore>,
    /// Kept until the case ends.
    pub keep: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Ports {
    async fn held(&self) -> Option<String> {
        self.store.load().await.expect("the place can be read")
    }

    async fn replaces(&self, held: &str, by: &str) -> bool {
        let replaced = self.store.replace(held, by).await;
        replaced.expect("the place can be written")
    }
}

/// Whoever creates second finds the first one's document.
pub async fn the_first_document_stays(ports: Ports) {
    assert_eq!(ports.held().await, None);
    assert!(!ports.replaces("nothing", "one").await);
    for document in ["one", "two", "one"] {
        ports.store.create(document).await.unwrap();
        assert_eq!(ports.held().await.as_deref(), Some("one"));
    }
}

/// Only what stands there is replaced, also where the same text stood there before.
pub async fn only_what_stands_there_is_replaced(ports: Ports) {
    ports.store.create("one").await.unwrap();
    assert!(ports.replaces("one", "two").await);
    assert!(!ports.replaces("one", "three").await);
    assert_eq!(ports.held().await.as_deref(), Some("two"));
    // An operator puts an old document back: it has successors again.
    assert!(ports.replaces("two", "one").await);
    assert!(ports.replaces("one", "three").await);
    assert!(!ports.replaces("two", "four").await);
    assert_eq!(ports.held().await.as_deref(), Some("three"));
    ports.store.create("five").await.unwrap();
    assert_eq!(ports.held().await.as_deref(), Some("three"));
}

/// The document is text of any length that keys come to, byte for byte.
pub async fn a_document_comes_back_byte_for_byte(ports: Ports) {
    let long = "é\n\"".repeat(8_000);
    ports.store.create("short").await.unwrap();
    assert!(ports.replaces("short", &long).await);
    assert_eq!(ports.held().await, Some(long));
}

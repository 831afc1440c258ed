//! The Standard Webhooks keys of subscriptions, derived from the master secret.

use super::document::{KeyDocument, OVERLAP, UnreadableKeys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Timestamp;
use carillon_core::ports::WebhookKeySet;
use carillon_core::push::webhooks::{Signature, public_key_text, secret_text};
use carillon_core::topic::{Subscription, SubscriptionName, TopicName};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Subscriptions whose keys are kept at hand; beyond it all are derived again.
const CACHED: usize = 10_000;

type Named = (TopicName, SubscriptionName, Timestamp);

/// Derives keys, and remembers what it derived.
pub(super) struct Derived {
    master: hmac::Key,
    /// Numbers and ends, newest first.
    generations: Vec<(u32, Option<Timestamp>)>,
    cache: Mutex<HashMap<Named, Arc<Vec<Pair>>>>,
}

/// The keys of one generation of one subscription.
struct Pair {
    secret: [u8; 32],
    hmac: hmac::Key,
    ed25519: Ed25519KeyPair,
}

/// The keys of one subscription that are in use.
pub(super) struct InUse {
    pairs: Arc<Vec<Pair>>,
    used: Vec<bool>,
}

impl Derived {
    pub(super) fn new(document: &KeyDocument) -> Result<Self, UnreadableKeys> {
        let master = BASE64
            .decode(&document.master)
            .ok()
            .filter(|master| master.len() == 32)
            .ok_or_else(|| {
                UnreadableKeys("the master secret is not Base64 of 32 bytes".to_owned())
            })?;
        let newest_first = document.generations.iter().rev();
        Ok(Derived {
            master: hmac::Key::new(hmac::HMAC_SHA256, &master),
            generations: newest_first
                .map(|held| (held.number, held.retired))
                .collect(),
            cache: Mutex::default(),
        })
    }

    /// The keys of a subscription. One that is made anew under an old name has new keys: whoever received for the old
    /// one cannot forge for the new.
    pub(super) fn of(&self, subscription: &Subscription, now: Timestamp) -> InUse {
        let named = (
            subscription.topic.clone(),
            subscription.name.clone(),
            subscription.created,
        );
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED && !cache.contains_key(&named) {
            cache.clear();
        }
        let pairs = cache
            .entry(named)
            .or_insert_with(|| {
                let derive = |(number, _): &(u32, _)| self.pair(subscription, *number);
                Arc::new(self.generations.iter().map(derive).collect())
            })
            .clone();
        let used = self
            .generations
            .iter()
            .map(|(_, retired)| retired.is_none_or(|at| now < at.plus(OVERLAP)))
            .collect();
        InUse { pairs, used }
    }

    fn pair(&self, subscription: &Subscription, generation: u32) -> Pair {
        let secret = self.derive("hmac", subscription, generation);
        let seed = self.derive("ed25519", subscription, generation);
        Pair {
            secret,
            hmac: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            ed25519: Ed25519KeyPair::from_seed_unchecked(&seed)
                .expect("every seed of 32 bytes is an Ed25519 key"),
        }
    }

    /// HMAC-SHA256 of purpose, generation and names, which hold no line break, under the master secret.
    fn derive(&self, purpose: &str, subscription: &Subscription, generation: u32) -> [u8; 32] {
        let label = format!(
            "carillon webhook key\n{purpose}\n{generation}\n{}\n{}\n{}",
            subscription.topic,
            subscription.name,
            subscription.created.as_millis()
        );
        let tag = hmac::sign(&self.master, label.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }
}

impl InUse {
    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        let used = self.pairs.iter().zip(&self.used);
        used.filter(|(_, used)| **used).map(|(pair, _)| pair)
    }

    pub(super) fn sign(&self, content: &[u8]) -> Vec<Signature> {
        let hmacs = self
            .pairs()
            .map(|pair| Signature::Hmac(hmac::sign(&pair.hmac, content).as_ref().to_vec()));
        let ed25519s = self
            .pairs()
            .map(|pair| Signature::Ed25519(pair.ed25519.sign(content).as_ref().to_vec()));
        hmacs.chain(ed25519s).collect()
    }

    pub(super) fn texts(&self) -> WebhookKeySet {
        let public = |pair: &Pair| public_key_text(pair.ed25519.public_key().as_ref());
        WebhookKeySet {
            secrets: self.pairs().map(|pair| secret_text(&pair.secret)).collect(),
            public_keys: self.pairs().map(public).collect(),
        }
    }
}

//! The Standard Webhooks keys of subscriptions, derived from the master secret.

use super::document::{Generation, KeyDocument, OVERLAP, UnreadableKeys};
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
    /// Newest first.
    generations: Vec<Root>,
    cache: Mutex<HashMap<Named, Arc<Vec<Pair>>>>,
}

/// What one generation of the service's keys is derived from.
struct Root {
    number: u32,
    retired: Option<Timestamp>,
    master: hmac::Key,
}

/// A generation of the service's keys, and one of the subscription's own.
type Generations = (u32, u32);

/// The keys of one generation of one subscription.
struct Pair {
    of: Generations,
    secret: [u8; 32],
    hmac: hmac::Key,
    ed25519: Ed25519KeyPair,
}

/// The keys of one subscription that are in use.
pub(super) struct InUse(Arc<Vec<Pair>>);

impl Derived {
    pub(super) fn new(document: &KeyDocument) -> Result<Self, UnreadableKeys> {
        let root = |held: &Generation| {
            let master = held.master.as_ref().unwrap_or(&document.master);
            let master = BASE64
                .decode(master)
                .ok()
                .filter(|master| master.len() == 32)
                .ok_or_else(|| {
                    UnreadableKeys("a master secret is not Base64 of 32 bytes".to_owned())
                })?;
            Ok(Root {
                number: held.number,
                retired: held.retired,
                master: hmac::Key::new(hmac::HMAC_SHA256, &master),
            })
        };
        let newest_first = document.generations.iter().rev();
        Ok(Derived {
            generations: newest_first.map(root).collect::<Result<_, _>>()?,
            cache: Mutex::default(),
        })
    }

    /// The keys of a subscription, newest first. One that is made anew under an old name has new keys: whoever received
    /// for the old one cannot forge for the new.
    pub(super) fn of(&self, subscription: &Subscription, now: Timestamp) -> InUse {
        let wanted = || {
            let roots = self
                .generations
                .iter()
                .filter(move |root| root.retired.is_none_or(|at| now < at.plus(OVERLAP)));
            roots.flat_map(move |root| {
                let own = subscription.webhook_keys.signing(now);
                own.map(move |own| (root, own.number))
            })
        };
        let named = (
            subscription.topic.clone(),
            subscription.name.clone(),
            subscription.created,
        );
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pairs) = cache.get(&named) {
            let held = pairs.iter().map(|pair| pair.of);
            if held.eq(wanted().map(|(root, own)| (root.number, own))) {
                return InUse(pairs.clone());
            }
        } else if cache.len() >= CACHED {
            cache.clear();
        }
        let derive = |(root, own): (&Root, u32)| root.pair(subscription, own);
        let pairs = Arc::new(wanted().map(derive).collect::<Vec<_>>());
        cache.insert(named, pairs.clone());
        InUse(pairs)
    }
}

impl Root {
    fn pair(&self, subscription: &Subscription, own: u32) -> Pair {
        let secret = self.derive("hmac", subscription, own);
        let seed = self.derive("ed25519", subscription, own);
        Pair {
            of: (self.number, own),
            secret,
            hmac: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            ed25519: Ed25519KeyPair::from_seed_unchecked(&seed)
                .expect("every seed of 32 bytes is an Ed25519 key"),
        }
    }

    /// HMAC-SHA256 of purpose, generation and names, which hold no line break, under the master secret.
    fn derive(&self, purpose: &str, subscription: &Subscription, own: u32) -> [u8; 32] {
        let mut label = format!(
            "carillon webhook key\n{purpose}\n{}\n{}\n{}\n{}",
            self.number,
            subscription.topic,
            subscription.name,
            subscription.created.as_millis()
        );
        // The first generation of a subscription has no line of its own: secrets that were given out go on to hold.
        if own > 1 {
            label.push_str(&format!("\n{own}"));
        }
        let tag = hmac::sign(&self.master, label.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }
}

impl InUse {
    pub(super) fn sign(&self, content: &[u8]) -> Vec<Signature> {
        let hmacs = self
            .0
            .iter()
            .map(|pair| Signature::Hmac(hmac::sign(&pair.hmac, content).as_ref().to_vec()));
        let ed25519s = self
            .0
            .iter()
            .map(|pair| Signature::Ed25519(pair.ed25519.sign(content).as_ref().to_vec()));
        hmacs.chain(ed25519s).collect()
    }

    pub(super) fn texts(&self) -> WebhookKeySet {
        let public = |pair: &Pair| public_key_text(pair.ed25519.public_key().as_ref());
        WebhookKeySet {
            secrets: self
                .0
                .iter()
                .map(|pair| secret_text(&pair.secret))
                .collect(),
            public_keys: self.0.iter().map(public).collect(),
        }
    }
}

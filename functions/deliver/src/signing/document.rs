//! The key document: everything secret that signing needs, as one JSON text.

use super::SigningSetupError;
use super::rsa;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carillon_core::event::Timestamp;
use carillon_core::ports::{KeyError, SigningKeyKind};
use ring::rand::SecureRandom as _;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Version of the document.
const VERSION: u32 = 1;
/// What is retired is still served, or still signs, for this long.
pub(super) const OVERLAP: Duration = Duration::from_secs(7 * 86_400);
/// A new RSA key signs this long after it was made: by then every process serves its certificate.
const ANNOUNCED: Duration = Duration::from_secs(600);

/// A document that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key document cannot be read ({0}): restore it from a copy, or move it away and new keys are made, which receivers of Standard Webhooks must then be given"
)]
pub struct UnreadableKeys(pub(super) String);

/// The document.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyDocument {
    v: u32,
    /// RSA keys, oldest first.
    pub(super) mns: Vec<MnsKey>,
    /// Base64 of 32 random bytes: what the first generation of webhook keys is derived from.
    pub(super) master: String,
    /// Generations of webhook keys, oldest first.
    pub(super) generations: Vec<Generation>,
}

/// An RSA key and its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct MnsKey {
    /// PKCS#8 PEM.
    pub(super) key: String,
    /// X.509 PEM.
    pub(super) certificate: String,
    /// File name of the certificate, derived from the public key.
    pub(super) file: String,
    pub(super) signs_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Timestamp>,
}

/// A generation of webhook keys.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Generation {
    pub(super) number: u32,
    /// Base64 of 32 random bytes of its own; without it the document's. Whoever got hold of one generation's cannot
    /// derive another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) master: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Timestamp>,
}

impl std::fmt::Debug for KeyDocument {
    /// Says nothing that must not stand in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files: Vec<&str> = self.mns.iter().map(|key| key.file.as_str()).collect();
        f.debug_struct("KeyDocument")
            .field("certificates", &files)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MnsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MnsKey")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl KeyDocument {
    pub(super) fn read(text: &str) -> Result<Self, UnreadableKeys> {
        let document: KeyDocument =
            serde_json::from_str(text).map_err(|error| UnreadableKeys(error.to_string()))?;
        if document.v != VERSION {
            return Err(UnreadableKeys(format!("version {}", document.v)));
        }
        if document.mns.is_empty() || document.generations.is_empty() {
            return Err(UnreadableKeys("it holds no key".to_owned()));
        }
        Ok(document)
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string_pretty(self).expect("a struct of strings and numbers is always JSON")
    }

    /// The first keys.
    pub(super) async fn generate(now: Timestamp) -> Result<Self, SigningSetupError> {
        Ok(KeyDocument {
            v: VERSION,
            mns: vec![new_key(now, now).await?],
            master: new_master()?,
            generations: vec![Generation {
                number: 1,
                master: None,
                since: Some(now),
                retired: None,
            }],
        })
    }

    /// One key of this kind further.
    pub(super) async fn rotated(
        mut self,
        kind: SigningKeyKind,
        now: Timestamp,
    ) -> Result<Self, SigningSetupError> {
        self.forget_the_past(now);
        match kind {
            SigningKeyKind::Mns => {
                let fresh = new_key(now, now.plus(ANNOUNCED)).await?;
                for key in &mut self.mns {
                    // It signs until its successor does.
                    key.retired.get_or_insert(fresh.signs_from);
                }
                self.mns.push(fresh);
            }
            SigningKeyKind::Webhooks => {
                let newest = self.generations.iter().map(|held| held.number).max();
                for generation in &mut self.generations {
                    generation.retired.get_or_insert(now);
                }
                self.generations.push(Generation {
                    number: newest.unwrap_or(0) + 1,
                    master: Some(new_master()?),
                    since: Some(now),
                    retired: None,
                });
            }
        }
        Ok(self)
    }

    /// Without the key of this name, which must have a successor.
    pub(super) fn retired(mut self, name: &str, now: Timestamp) -> Result<Self, KeyError> {
        self.forget_the_past(now);
        let key = self.mns.iter().position(|held| held.file == name);
        let generation = self.generations.iter().position(|held| held.name() == name);
        let has_successor = match (key, generation) {
            (Some(at), _) => at + 1 < self.mns.len(),
            (None, Some(at)) => at + 1 < self.generations.len(),
            (None, None) => return Err(KeyError::NotExist(name.to_owned())),
        };
        if !has_successor {
            return Err(KeyError::InUse(name.to_owned()));
        }
        if let Some(at) = key {
            self.mns.remove(at);
            // The newest signs at once when none is left that did.
            if !self.mns.iter().any(|held| held.signs_from <= now)
                && let Some(next) = self.mns.first_mut()
            {
                next.signs_from = now;
            }
        } else if let Some(at) = generation {
            self.generations.remove(at);
        }
        Ok(self)
    }

    /// Takes out what no longer overlaps with anything.
    fn forget_the_past(&mut self, now: Timestamp) {
        let gone = |retired: Option<Timestamp>| retired.is_some_and(|at| now >= at.plus(OVERLAP));
        self.mns.retain(|key| !gone(key.retired));
        self.generations.retain(|held| !gone(held.retired));
    }
}

impl Generation {
    /// How an operator calls it.
    pub(super) fn name(&self) -> String {
        format!("webhooks-{}", self.number)
    }
}

fn new_master() -> Result<String, SigningSetupError> {
    let mut master = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut master)
        .map_err(|_| SigningSetupError::Generate("the system gives no random numbers".into()))?;
    Ok(BASE64.encode(master))
}

async fn new_key(now: Timestamp, signs_from: Timestamp) -> Result<MnsKey, SigningSetupError> {
    let failed = SigningSetupError::Generate;
    let made = tokio::task::spawn_blocking(move || rsa::generate(now))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)?;
    Ok(MnsKey {
        key: made.key,
        certificate: made.certificate,
        file: made.file,
        signs_from,
        retired: None,
    })
}

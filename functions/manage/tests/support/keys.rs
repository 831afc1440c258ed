//! Signing keys that are only names.

use super::{Counting, NOON, StoppedClock, World};
use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Clock as _, KeyError, KeyState, SigningKey, SigningKeyKind, SigningKeys, WebhookKeySet,
};
use carillon_core::topic::Subscription;
use carillon_manage::{Ports, Service, Settings, router};
use std::sync::{Arc, Mutex};

/// Keys that are only names.
pub struct Names {
    clock: Arc<StoppedClock>,
    pub rotated: Mutex<Vec<SigningKeyKind>>,
    pub down: Mutex<Option<KeyError>>,
}

impl Names {
    fn answer(&self) -> Result<(), KeyError> {
        self.down.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait::async_trait]
impl SigningKeys for Names {
    async fn list(&self) -> Result<Vec<SigningKey>, KeyError> {
        self.answer()?;
        let old = Timestamp::from_millis(NOON - 3_600_000);
        let key = |name: &str, kind, state, until| SigningKey {
            name: name.into(),
            kind,
            state,
            signs_from: old,
            until,
            certificate_url: (kind == SigningKeyKind::Mns)
                .then(|| format!("http://127.0.0.1:9324/certs/{name}")),
        };
        let until = Some(Timestamp::from_millis(NOON + 604_800_500));
        Ok(vec![
            key(
                "carillon-b.pem",
                SigningKeyKind::Mns,
                KeyState::Signing,
                None,
            ),
            key(
                "carillon-a.pem",
                SigningKeyKind::Mns,
                KeyState::Overlapping,
                until,
            ),
            key(
                "webhooks-1",
                SigningKeyKind::Webhooks,
                KeyState::Signing,
                None,
            ),
        ])
    }

    async fn rotate(&self, kind: SigningKeyKind) -> Result<SigningKey, KeyError> {
        self.answer()?;
        self.rotated.lock().unwrap().push(kind);
        Ok(SigningKey {
            name: "carillon-c.pem".into(),
            kind,
            state: KeyState::Announced,
            signs_from: Timestamp::from_millis(NOON + 600_000),
            until: None,
            certificate_url: Some("http://127.0.0.1:9324/certs/carillon-c.pem".into()),
        })
    }

    async fn retire(&self, name: &str) -> Result<(), KeyError> {
        self.answer()?;
        match name {
            "carillon-a.pem" => Ok(()),
            "carillon-b.pem" => Err(KeyError::InUse(name.into())),
            _ => Err(KeyError::NotExist(name.into())),
        }
    }

    async fn webhook_keys(&self, held: &Subscription) -> Result<Option<WebhookKeySet>, KeyError> {
        self.answer()?;
        let numbers = held.webhook_keys.signing(self.clock.now());
        let numbers: Vec<u32> = numbers.map(|held| held.number).collect();
        let texts = |what: &str| numbers.iter().map(|n| format!("{what}_{n}")).collect();
        Ok(Some(WebhookKeySet {
            secrets: texts("whsec"),
            public_keys: texts("whpk"),
        }))
    }
}

/// Gives a control plane keys, over the same store.
pub fn add(held: &mut World, settings: Settings) -> Arc<Names> {
    let keys = Arc::new(Names {
        clock: held.clock.clone(),
        rotated: Mutex::default(),
        down: Mutex::default(),
    });
    let ports = Ports {
        rules: held.store.clone(),
        queues: held.queues.clone(),
        sender: held.queues.clone(),
        consumer: held.queues.clone(),
        publisher: held.published.clone(),
        clock: held.clock.clone(),
        random: Arc::new(Counting::default()),
        attempts: None,
        dead_letters: None,
        certificates: None,
        metrics: Vec::new(),
        marks: None,
        webhook_secrets: None,
        url_check: None,
    };
    let service = Service::new(ports, settings).turning_keys_over(keys.clone());
    held.router = router(Arc::new(service));
    keys
}

//! Keys and signatures: first run, rotation, and what independent libraries say of them. (`tests/signatures` has the
//! verifiers in other languages.)
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use carillon_core::event::Timestamp;
use carillon_core::ports::{
    Certificates as _, KeyError, KeyState, PushRequest, SigningKeyKind, SigningKeys as _,
    WebhookKeys as _,
};
use carillon_core::push::mns::string_to_sign;
use carillon_core::topic::Subscription;
use carillon_deliver::signing::{FileKeyStore, KeyRing, KeyStore as _, Signing, SigningSettings};
use carillon_deliver::{Signer as _, ToSign};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use standardwebhooks::Webhook;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// A directory of its own for each test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("carillon-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn both() -> SigningSettings {
    SigningSettings {
        mns: true,
        webhooks: true,
        certificate_base: "http://127.0.0.1:9324/certs/".into(),
    }
}

async fn rotate_both(signing: &Signing, store: &FileKeyStore) {
    for kind in [SigningKeyKind::Mns, SigningKeyKind::Webhooks] {
        signing.rotate(store, kind).await.unwrap();
    }
}

async fn signed(
    signing: &Signing,
    world: &World,
    web: &Subscription,
) -> Vec<(&'static str, String)> {
    let held = delivery("web", 1);
    let mut headers = vec![
        ("content-type", "text/plain".to_owned()),
        ("x-mns-version", "2015-06-06".to_owned()),
    ];
    let what = ToSign {
        subscription: web,
        notification: &held.notification,
        target: "/hook?x=1",
        body: &held.notification.body,
        now: world.ports.clock.now(),
    };
    signing.sign(what, &mut headers).await.unwrap();
    headers
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(held, _)| *held == name)
        .map(|(_, value)| value.as_str())
}

/// The RSA signature verified by ring (the signer is another library) with the key in the certificate.
fn mns_holds(signing: &Signing, headers: &Vec<(&'static str, String)>, target: &str) -> bool {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let url = base64
        .decode(header(headers, "x-mns-signing-cert-url").unwrap())
        .unwrap();
    let url = String::from_utf8(url).unwrap();
    let pem = signing
        .pem(url.rsplit('/').next().unwrap())
        .expect("the certificate is served");
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    // The RSAPublicKey inside: found by its own beginning, so that no parser of ours is trusted.
    let start = der
        .windows(4)
        .position(|window| window == [0x30, 0x82, 0x01, 0x0a])
        .unwrap();
    let key = ring::signature::UnparsedPublicKey::new(
        &ring::signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        &der[start..start + 270],
    );
    let signature = base64
        .decode(header(headers, "authorization").unwrap())
        .unwrap();
    key.verify(string_to_sign(headers, target).as_bytes(), &signature)
        .is_ok()
}

/// Whether the signature that the reference library makes is among those sent. (Its verifier wants the time of day, and
/// here the clock is stopped; `the_reference_library_verifies` has it.)
fn webhook_holds(secret: &str, headers: &[(&'static str, String)], body: &str) -> bool {
    let timestamp = header(headers, "webhook-timestamp").unwrap();
    let id = header(headers, "webhook-id").unwrap();
    let want = Webhook::new(secret)
        .unwrap()
        .sign(id, timestamp.parse().unwrap(), body.as_bytes())
        .unwrap();
    let sent = header(headers, "webhook-signature").unwrap();
    sent.split(' ').any(|signature| signature == want)
}

#[tokio::test]
async fn the_reference_library_verifies() {
    let scratch = Scratch::new("signing-reference");
    let world = World::new(vec![]);
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    world
        .clock
        .advance(since.saturating_sub(Duration::from_millis(START.unsigned_abs())));
    let web = http_subscription("web");
    let store = FileKeyStore::new(&scratch.0);
    let signing = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    rotate_both(&signing, &store).await;
    let headers = signed(&signing, &world, &web).await;
    let mut map = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        map.insert(name, header(&headers, name).unwrap().parse().unwrap());
    }
    let body = delivery("web", 1).notification.body;
    let secrets = signing.keys(&web).unwrap().secrets;
    assert_eq!(secrets.len(), 2);
    for secret in secrets {
        let webhook = Webhook::new(&secret).unwrap();
        assert!(webhook.verify(body.as_bytes(), &map).is_ok());
        assert!(webhook.verify(format!("{body} ").as_bytes(), &map).is_err());
        let mut later = map.clone();
        later.insert("webhook-id", "0".parse().unwrap());
        assert!(webhook.verify(body.as_bytes(), &later).is_err());
    }
}

#[tokio::test]
async fn both_signatures_hold_and_no_changed_one_does() {
    let scratch = Scratch::new("signing-both");
    let world = World::new(vec![]);
    let web = http_subscription("web");
    let signing = Signing::open(&FileKeyStore::new(&scratch.0), world.clock.clone(), both())
        .await
        .unwrap();
    let headers = signed(&signing, &world, &web).await;
    assert!(mns_holds(&signing, &headers, "/hook?x=1"));
    assert!(!mns_holds(&signing, &headers, "/hook?x=2"));
    for index in 0..headers.len() {
        if ["content-type", "x-mns-version"].contains(&headers[index].0) {
            let mut changed = headers.clone();
            changed[index].1.push('x');
            assert!(
                !mns_holds(&signing, &changed, "/hook?x=1"),
                "{}",
                headers[index].0
            );
        }
    }
    let keys = signing.keys(&web).unwrap();
    let body = delivery("web", 1).notification.body;
    assert!(webhook_holds(&keys.secrets[0], &headers, &body));
    assert!(!webhook_holds(
        &keys.secrets[0],
        &headers,
        &format!("{body} ")
    ));
    assert!(keys.secrets[0].starts_with("whsec_") && keys.public_keys[0].starts_with("whpk_"));
    assert_eq!(header(&headers, "webhook-timestamp"), Some("1700000000"));
}

#[tokio::test]
async fn a_setting_switches_either_off() {
    let scratch = Scratch::new("signing-off");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    let web = http_subscription("web");
    for (mns, webhooks) in [(true, false), (false, true), (false, false)] {
        let settings = SigningSettings {
            mns,
            webhooks,
            ..both()
        };
        let signing = Signing::open(&store, world.clock.clone(), settings)
            .await
            .unwrap();
        let headers = signed(&signing, &world, &web).await;
        assert_eq!(header(&headers, "authorization").is_some(), mns);
        assert_eq!(header(&headers, "x-mns-signing-cert-url").is_some(), mns);
        assert_eq!(signing.certificate_url().is_some(), mns);
        assert_eq!(header(&headers, "webhook-signature").is_some(), webhooks);
        assert_eq!(signing.keys(&web).is_some(), webhooks);
    }
}

#[tokio::test]
async fn every_subscription_has_keys_of_its_own() {
    let scratch = Scratch::new("signing-own");
    let world = World::new(vec![]);
    let signing = Signing::open(&FileKeyStore::new(&scratch.0), world.clock.clone(), both())
        .await
        .unwrap();
    let web = http_subscription("web");
    let mut made_anew = web.clone();
    made_anew.created = Timestamp::from_millis(START + 1);
    let keys =
        [&web, &made_anew, &http_subscription("other")].map(|held| signing.keys(held).unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[0].secrets, keys[2].secrets);
    assert_ne!(keys[0].public_keys, keys[2].public_keys);
    assert_eq!(keys[0], signing.keys(&web).unwrap());
}

#[tokio::test]
async fn keys_outlive_the_process_and_two_first_runs_agree() {
    let scratch = Scratch::new("signing-first");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    let open = || Signing::open(&store, world.clock.clone(), both());
    let (one, two) = tokio::join!(open(), open());
    let (one, two, three) = (one.unwrap(), two.unwrap(), open().await.unwrap());
    assert_eq!(one.certificate_url(), two.certificate_url());
    assert_eq!(one.certificate_url(), three.certificate_url());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::fs::metadata(scratch.0.join("signing-keys.json")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        std::fs::read_dir(&scratch.0).unwrap().count(),
        1,
        "nothing is left beside the document"
    );
}

#[tokio::test]
async fn rotation_overlaps_and_ends() {
    let scratch = Scratch::new("signing-rotate");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    let web = http_subscription("web");
    let signing = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    let body = delivery("web", 1).notification.body;
    let old_url = signing.certificate_url().unwrap();
    let old_secret = signing.keys(&web).unwrap().secrets[0].clone();

    rotate_both(&signing, &store).await;
    // The old key signs until every process serves the new certificate.
    assert_eq!(signing.certificate_url().unwrap(), old_url);
    assert!(mns_holds(
        &signing,
        &signed(&signing, &world, &web).await,
        "/hook?x=1"
    ));
    world.clock.advance(Duration::from_secs(600));
    let new_url = signing.certificate_url().unwrap();
    assert_ne!(new_url, old_url);
    let headers = signed(&signing, &world, &web).await;
    assert!(mns_holds(&signing, &headers, "/hook?x=1"));

    let secrets = signing.keys(&web).unwrap().secrets;
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets[1], old_secret);
    for secret in &secrets {
        assert!(webhook_holds(secret, &headers, &body));
    }
    let file = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    assert!(signing.pem(&file(&old_url)).is_some());
    assert!(signing.pem("../signing-keys.json").is_none());

    world.clock.advance(Duration::from_secs(7 * 86_400));
    assert!(
        signing.pem(&file(&old_url)).is_none(),
        "the old certificate is served for a week"
    );
    assert!(signing.pem(&file(&new_url)).is_some());
    assert_eq!(signing.keys(&web).unwrap().secrets, [secrets[0].clone()]);
    assert!(!webhook_holds(
        &old_secret,
        &signed(&signing, &world, &web).await,
        &body
    ));

    // What one process rotated another learns.
    let other = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    rotate_both(&signing, &store).await;
    assert_eq!(other.keys(&web).unwrap().secrets.len(), 1);
    other.reload(&store).await.unwrap();
    assert_eq!(other.keys(&web), signing.keys(&web));
}

#[tokio::test]
async fn an_operator_lists_rotates_and_retires() {
    let scratch = Scratch::new("signing-ring");
    let store = Arc::new(FileKeyStore::new(&scratch.0));
    let world = World::new(vec![]);
    let web = http_subscription("web");
    let open = || Signing::open(&*store, world.clock.clone(), both());
    let signing = Arc::new(open().await.unwrap());
    let ring = KeyRing::new(signing.clone(), store.clone(), None);
    let states = || async {
        let keys = ring.list().await.unwrap();
        let told = keys.iter().map(|key| (key.kind, key.state));
        (told.collect::<Vec<_>>(), keys)
    };
    use KeyState::{Announced, Overlapping};
    use SigningKeyKind::{Mns, Webhooks};
    const SIGNING: KeyState = KeyState::Signing;
    let (told, first) = states().await;
    assert_eq!(told, [(Mns, SIGNING), (Webhooks, SIGNING)]);
    assert_eq!(first[0].certificate_url, signing.certificate_url());
    assert_eq!(
        (first[0].until, first[1].name.as_str()),
        (None, "webhooks-1")
    );

    // What has no successor cannot go, and what is not there cannot either.
    for name in [&first[0].name, &first[1].name] {
        assert_eq!(ring.retire(name).await, Err(KeyError::InUse(name.clone())));
    }
    let nothing = ring.retire("carillon-0.pem").await;
    assert_eq!(nothing, Err(KeyError::NotExist("carillon-0.pem".into())));

    // One kind at a time: MNS's receivers follow by themselves, those of webhooks must be told.
    let secret = signing.keys(&web).unwrap();
    let made = ring.rotate(Mns).await.unwrap();
    assert_eq!((made.state, made.until), (Announced, None));
    assert_ne!(made.name, first[0].name);
    assert_eq!(signing.keys(&web).unwrap(), secret);
    let (told, _) = states().await;
    assert_eq!(
        told,
        [(Mns, Announced), (Mns, SIGNING), (Webhooks, SIGNING)]
    );
    world.clock.advance(Duration::from_secs(600));
    let (told, keys) = states().await;
    assert_eq!(
        told,
        [(Mns, SIGNING), (Mns, Overlapping), (Webhooks, SIGNING)]
    );
    assert!(keys[1].until.is_some());
    assert!(
        signing.pem(&first[0].name).is_some(),
        "the old certificate is served"
    );

    // Retired before its time: gone at once, here and after a restart.
    ring.retire(&first[0].name).await.unwrap();
    assert!(signing.pem(&first[0].name).is_none());
    assert!(open().await.unwrap().pem(&first[0].name).is_none());

    // A key that leaks before its successor is announced everywhere: the successor signs at once.
    let urgent = ring.rotate(Mns).await.unwrap();
    ring.retire(&made.name).await.unwrap();
    assert_eq!(signing.certificate_url(), urgent.certificate_url);
    let (told, _) = states().await;
    assert_eq!(told, [(Mns, SIGNING), (Webhooks, SIGNING)]);
    assert!(mns_holds(
        &signing,
        &signed(&signing, &world, &web).await,
        "/hook?x=1"
    ));

    // All subscriptions' webhook keys: from a secret of their own, so that the old one says nothing of the new.
    assert_eq!(ring.rotate(Webhooks).await.unwrap().name, "webhooks-2");
    let both = ring.webhook_keys(&web).await.unwrap().unwrap();
    assert_eq!(both.secrets[1..], secret.secrets[..]);
    assert_eq!((both.secrets.len(), both.public_keys.len()), (2, 2));
    ring.retire("webhooks-1").await.unwrap();
    assert_eq!(signing.keys(&web).unwrap().secrets, both.secrets[..1]);
    let text = store.load().await.unwrap().unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_ne!(document["generations"][0]["master"], document["master"]);
    assert!(document["generations"][0]["master"].is_string());
}

#[tokio::test]
async fn a_subscriptions_own_keys_turn_over_alone() {
    let scratch = Scratch::new("signing-sub");
    let world = World::new(vec![]);
    let store = FileKeyStore::new(&scratch.0);
    let signing = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    let (mut web, other) = (http_subscription("web"), http_subscription("other"));
    let (old, others) = (signing.keys(&web).unwrap(), signing.keys(&other).unwrap());
    web.webhook_keys = web.webhook_keys.rotated(world.ports.clock.now());
    let held = signing.keys(&web).unwrap();
    assert_eq!(held.secrets[1..], old.secrets[..]);
    assert_eq!(held.public_keys[1..], old.public_keys[..]);
    assert_eq!(signing.keys(&other).unwrap(), others);
    // Both sign, and both hold.
    let body = delivery("web", 1).notification.body;
    let headers = signed(&signing, &world, &web).await;
    let sent = header(&headers, "webhook-signature").unwrap();
    let of = |scheme: &str| {
        sent.split(' ')
            .filter(|one| one.starts_with(scheme))
            .count()
    };
    assert_eq!((of("v1,"), of("v1a,")), (2, 2));
    for secret in &held.secrets {
        assert!(webhook_holds(secret, &headers, &body));
    }
    // Beside a rotation of all, each of the four.
    signing
        .rotate(&store, SigningKeyKind::Webhooks)
        .await
        .unwrap();
    assert_eq!(signing.keys(&web).unwrap().secrets.len(), 4);
    assert_eq!(signing.keys(&web).unwrap().secrets[2..], held.secrets[..]);
    world.clock.advance(Duration::from_secs(7 * 86_400));
    assert_eq!(signing.keys(&web).unwrap().secrets.len(), 1);
}

#[tokio::test]
async fn of_two_who_turn_keys_over_at_once_one_is_told_so() {
    let scratch = Scratch::new("signing-raced");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    let signing = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    let held = store.load().await.unwrap().unwrap();
    signing
        .rotate(&store, SigningKeyKind::Webhooks)
        .await
        .unwrap();
    let newer = store.load().await.unwrap();
    assert!(!store.replace(&held, "of somebody slower").await.unwrap());
    assert_eq!(store.load().await.unwrap(), newer);
}

#[tokio::test]
async fn a_document_of_an_older_release_is_read() {
    let scratch = Scratch::new("signing-old");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    let web = http_subscription("web");
    let fresh = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    let text = store.load().await.unwrap().unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["generations"] = serde_json::json!([{"number": 1}]);
    std::fs::write(scratch.0.join("signing-keys.json"), document.to_string()).unwrap();
    let old = Signing::open(&store, world.clock.clone(), both())
        .await
        .unwrap();
    assert_eq!(old.keys(&web), fresh.keys(&web));
    assert_eq!(old.list()[1].signs_from, old.list()[0].signs_from);
}

#[tokio::test]
async fn a_damaged_document_is_told_and_not_overwritten() {
    let scratch = Scratch::new("signing-damaged");
    let store = FileKeyStore::new(&scratch.0);
    let world = World::new(vec![]);
    for damaged in [
        "",
        "{}",
        "{\"v\":2,\"mns\":[],\"master\":\"\",\"generations\":[]}",
    ] {
        std::fs::write(scratch.0.join("signing-keys.json"), damaged).unwrap();
        let error = Signing::open(&store, world.clock.clone(), both())
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("key document"), "{error}");
        assert_eq!(store.load().await.unwrap().as_deref(), Some(damaged));
    }
}

#[tokio::test]
async fn the_handler_signs_what_it_sends_and_sends_nothing_unsigned() {
    let scratch = Scratch::new("signing-handler");
    let mut world = World::new(vec![http_subscription("web")]);
    let signing = Signing::open(&FileKeyStore::new(&scratch.0), world.clock.clone(), both())
        .await
        .unwrap();
    let signing = Arc::new(signing);
    world.ports.signer = signing.clone();
    assert!(
        world
            .run(&[record(&pack(&[delivery("web", 1)]))])
            .await
            .is_empty()
    );
    let seen: Vec<PushRequest> = world.http.seen.lock().unwrap().clone();
    assert!(mns_holds(&signing, &seen[0].headers, "/hook?x=1"));
    let secret = &signing.keys(&http_subscription("web")).unwrap().secrets[0];
    assert!(webhook_holds(secret, &seen[0].headers, &seen[0].body));
}

/// The vector that the Rust library and the specification share.
#[test]
fn the_standard_vector_is_met() {
    use base64::Engine as _;
    use carillon_core::push::webhooks::{Signature, content, push_headers, timestamp};
    let secret = base64::engine::general_purpose::STANDARD
        .decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        .unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let at = timestamp(Timestamp::from_millis(1_649_367_553_999));
    let tag = ring::hmac::sign(
        &key,
        &content(
            id,
            &at,
            r#"{"email":"test@example.com","username":"test_user"}"#,
        ),
    );
    let mut headers = Vec::new();
    push_headers(
        &mut headers,
        id.into(),
        at,
        &[Signature::Hmac(tag.as_ref().to_vec())],
    );
    assert_eq!(
        header(&headers, "webhook-signature"),
        Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
    );
}

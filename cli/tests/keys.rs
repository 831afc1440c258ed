//! Keys turned over by `carillon key` while pushes flow, with a kill in between: a receiver that knows the old key or the
//! new one takes every push.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{Service, sample};

/// A push as it arrived.
struct Push {
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A receiver that takes everything.
fn receiver() -> (String, Receiver<Push>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
    let (arrived, pushes) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, arrived) = (stream.unwrap(), arrived.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut first = String::new();
                while reader.read_line(&mut first).is_ok_and(|n| n > 0) {
                    let target = first.split(' ').nth(1).unwrap().to_owned();
                    let mut headers = BTreeMap::new();
                    loop {
                        let mut line = String::new();
                        reader.read_line(&mut line).unwrap();
                        let Some((name, value)) = line.trim_end().split_once(": ") else {
                            break;
                        };
                        headers.insert(name.to_owned(), value.to_owned());
                    }
                    let mut body = vec![0; headers["content-length"].parse().unwrap()];
                    reader.read_exact(&mut body).unwrap();
                    let body = String::from_utf8(body).unwrap();
                    let push = Push {
                        target,
                        headers,
                        body,
                    };
                    // Nobody listens any more when the test is over.
                    let _ = arrived.send(push);
                    reader
                        .get_mut()
                        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                        .unwrap();
                    first.clear();
                }
            });
        }
    });
    (url, pushes)
}

impl Push {
    /// Whether one of the Standard Webhooks signatures was made with this secret.
    fn holds_by(&self, secret: &str) -> bool {
        let secret = BASE64
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let (id, at) = (
            &self.headers["webhook-id"],
            &self.headers["webhook-timestamp"],
        );
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let content = format!("{id}.{at}.{}", self.body);
        let signatures = self.headers["webhook-signature"].split(' ');
        signatures
            .filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok())
            .any(|tag| ring::hmac::verify(&key, content.as_bytes(), &tag).is_ok())
    }

    /// File name of the certificate it names.
    fn certificate(&self) -> String {
        let url = BASE64
            .decode(&self.headers["x-mns-signing-cert-url"])
            .unwrap();
        let url = String::from_utf8(url).unwrap();
        url.rsplit('/').next().unwrap().to_owned()
    }

    /// Whether MNS's signature holds by this certificate, as a receiver computes it from what it was sent.
    fn holds_by_certificate(&self, pem: &str) -> bool {
        let header = |name: &str| self.headers.get(name).map_or("", String::as_str);
        let mut text = format!(
            "POST\n{}\n{}\n{}\n",
            header("content-md5"),
            header("content-type"),
            header("date")
        );
        for (name, value) in &self.headers {
            if name.starts_with("x-mns-") {
                text.push_str(&format!("{name}:{value}\n"));
            }
        }
        text.push_str(&self.target);
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let der = BASE64.decode(lines.collect::<String>()).unwrap();
        // The RSAPublicKey of 2048 bits inside, found by its own beginning.
        let head = [0x30, 0x82, 0x01, 0x0a];
        let at = der.windows(4).position(|window| window == head).unwrap();
        let algorithm = &ring::signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
        let key = ring::signature::UnparsedPublicKey::new(algorithm, &der[at..at + 270]);
        let signature = BASE64.decode(header("authorization")).unwrap();
        key.verify(text.as_bytes(), &signature).is_ok()
    }
}

/// The certificate of this name, if it is served.
fn certificate(service: &Service, file: &str) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let mut response = agent
        .get(format!("{}/certs/{file}", service.url))
        .call()
        .unwrap();
    (response.status() == 200).then(|| response.body_mut().read_to_string().unwrap())
}

/// Sends events numbered so, on a thread of its own, while `meanwhile` runs; gives what arrived of them.
fn pushes_during(
    service: &Service,
    numbers: std::ops::Range<u32>,
    pushes: &Receiver<Push>,
    meanwhile: impl FnOnce(),
) -> Vec<Push> {
    let event = |number: u32| {
        let mut body: Value = serde_json::from_str(&sample("events/tutorial/s3-put.json")).unwrap();
        body["Records"][0]["s3"]["object"]["key"] = format!("key-{number}").into();
        body["Records"][0]["s3"]["object"]["sequencer"] = format!("{number:016X}").into();
        body.to_string()
    };
    let count = numbers.len();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in numbers {
                let (status, _, answer) = service.post_events(event(number).as_bytes());
                assert_eq!(status, 200, "{answer}");
            }
        });
        meanwhile();
    });
    let mut ids = BTreeSet::new();
    let mut arrived = Vec::new();
    while ids.len() < count {
        let push = pushes
            .recv_timeout(Duration::from_secs(600))
            .unwrap_or_else(|_| panic!("{} of {count} arrived", ids.len()));
        ids.insert(push.headers["webhook-id"].clone());
        arrived.push(push);
    }
    arrived
}

fn start(data: &Path) -> Service {
    Service::start(data, &["--allow-endpoints", "127.0.0.0/8"])
}

fn texts(list: &Value) -> Vec<String> {
    let all = list.as_array().unwrap().iter();
    all.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn states(service: &Service) -> Vec<(String, String)> {
    let keys = service.run(&["key", "list", "--json"]).json();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let all = keys.as_array().unwrap().iter();
    all.map(|key| (text(key, "KeyName"), text(key, "State")))
        .collect()
}

#[test]
fn keys_turn_over_while_pushes_flow_and_no_receiver_is_left_behind() {
    let data = tempfile::tempdir().unwrap();
    let (url, pushes) = receiver();
    let service = start(data.path());
    let rule = ["rule", "create", "hook", "--event-type", "ObjectCreated:*"];
    let covers = ["--full-name", "event-notification-test", "--http", &url];
    service.run(&[&rule[..], &covers].concat()).ok();
    let rules = service.run(&["rule", "list", "--json"]).json();
    let topic = rules[0]["TopicName"].as_str().unwrap().to_owned();
    let list = service
        .run(&["subscription", "list", &topic, "--json"])
        .json();
    let name = list[0]["SubscriptionName"].as_str().unwrap().to_owned();
    let secrets = |service: &Service| {
        let held = service
            .run(&["subscription", "show", &topic, &name, "--json"])
            .json();
        assert_eq!(held["WebhookSecret"], held["WebhookSecrets"][0]);
        texts(&held["WebhookSecrets"])
    };
    let first = secrets(&service);
    assert_eq!(first.len(), 1);
    let of_mns = states(&service).remove(0);
    assert_eq!(of_mns.1, "signing");

    // Everything is turned over at once, while pushes flow: a receiver that was told nothing takes all of them.
    let arrived = pushes_during(&service, 0..30, &pushes, || {
        let rotate = ["key", "rotate-secret", &topic, &name, "--json"];
        let made = service.run(&rotate).json();
        assert_eq!(texts(&made["WebhookSecrets"])[1..], first[..]);
        service.run(&["key", "rotate"]).ok();
    });
    assert!(arrived.iter().all(|push| push.holds_by(&first[0])));
    let both = secrets(&service);
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    let announced = states(&service);
    assert_eq!(announced[0].1, "announced");
    assert_eq!(announced[1], of_mns);
    let old = certificate(&service, &of_mns.0).unwrap();
    let new = certificate(&service, &announced[0].0).unwrap();
    assert_ne!(of_mns.0, announced[0].0);
    // The new certificate is served before it signs.
    assert!(arrived.iter().all(|push| push.certificate() == of_mns.0));
    assert!(arrived.iter().all(|push| push.holds_by_certificate(&old)));

    // Killed and started again: keys, generations and overlap are where they were.
    service.kill();
    let service = start(data.path());
    assert_eq!(states(&service), announced);
    assert_eq!(secrets(&service), both);
    let arrived = pushes_during(&service, 30..60, &pushes, || {
        service.run(&["key", "rotate", "webhooks"]).ok();
    });
    for push in &arrived {
        assert!(push.holds_by(&both[0]) && push.holds_by(&both[1]));
        assert!(push.holds_by_certificate(&old));
        assert!(!push.holds_by_certificate(&new));
    }
    let all = secrets(&service);
    assert_eq!((all.len(), &all[2..]), (4, &both[..]));

    // Somebody got hold of the old keys: they end at once.
    service.run(&["key", "retire", &of_mns.0]).ok();
    service.run(&["key", "retire", "webhooks-1"]).ok();
    service.run(&["key", "retire-secret", &topic, &name]).ok();
    let left = secrets(&service);
    assert_eq!(left, all[..1]);
    assert!(certificate(&service, &of_mns.0).is_none());
    let refused = service.run(&["key", "retire", &announced[0].0]).fails(1);
    assert!(refused.contains("rotate first"), "{refused}");
    let arrived = pushes_during(&service, 60..70, &pushes, || ());
    for push in &arrived {
        assert_eq!(push.certificate(), announced[0].0);
        assert!(push.holds_by_certificate(&new) && !push.holds_by_certificate(&old));
        assert!(push.holds_by(&left[0]));
        assert!(all[1..].iter().all(|gone| !push.holds_by(gone)));
    }
}

//! User metadata of objects of an S3-style store beside the service (MinIO, Ceph RGW, S3 itself): `HEAD`, signed by
//! SigV4 where keys are given. A few lines instead of an SDK: one request, without body, by path.

use carillon_core::event::Timestamp;
use carillon_core::ports::{Clock, ObjectMetadata, ObjectName, StoreError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use ureq::http::Uri;

/// Requests under way at a time.
const AT_ONCE: usize = 16;
/// Time for a request: the events of a batch wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What stands for itself in a signed path or query (AWS, "Create a canonical request").
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &NAME.remove(b'/');
/// Of an empty body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A store at an endpoint.
pub(crate) struct ObjectStore {
    base: String,
    host: String,
    region: String,
    keys: Option<StoreKeys>,
    agent: ureq::Agent,
    clock: Arc<dyn Clock>,
    room: Arc<Semaphore>,
}

/// Keys of the store.
#[derive(Clone)]
pub(crate) struct StoreKeys {
    /// Access key id.
    pub(crate) id: String,
    /// Secret.
    pub(crate) secret: String,
    /// Of temporary keys.
    pub(crate) session: Option<String>,
}

impl std::fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoreKeys({})", self.id)
    }
}

impl ObjectStore {
    /// A store at `endpoint`, for example `http://127.0.0.1:9000`.
    pub(crate) fn new(
        endpoint: &str,
        region: &str,
        keys: Option<StoreKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let uri: Uri = endpoint.parse().map_err(|_| "it is no URL".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("it must begin with http:// or https://".to_owned());
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err("it must end after the host and the port".to_owned());
        }
        let host = uri.authority().ok_or("it names no host")?;
        if host.as_str().contains('@') {
            return Err("keys are given by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build();
        Ok(ObjectStore {
            base: endpoint.trim_end_matches('/').to_owned(),
            host: host.to_string(),
            region: region.to_owned(),
            keys,
            agent: config.into(),
            clock,
            room: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// The request for one object: its target, and the headers that sign it.
    fn request(
        &self,
        object: &ObjectName,
    ) -> Result<(String, Vec<(&'static str, String)>), String> {
        let sound = !matches!(object.bucket.as_str(), "" | "." | "..")
            && object
                .bucket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if !sound {
            return Err("that is no bucket's name".to_owned());
        }
        let path = format!(
            "/{}/{}",
            object.bucket,
            utf8_percent_encode(&object.key, PATH)
        );
        let query = object
            .version
            .as_ref()
            .map(|version| format!("versionId={}", utf8_percent_encode(version, NAME)))
            .unwrap_or_default();
        let headers = self.sign(&path, &query, self.clock.now());
        let url = match query.as_str() {
            "" => format!("{}{path}", self.base),
            query => format!("{}{path}?{query}", self.base),
        };
        Ok((url, headers))
    }

    /// The headers of AWS Signature Version 4 (AWS General Reference, "Create a signed request").
    fn sign(&self, path: &str, query: &str, now: Timestamp) -> Vec<(&'static str, String)> {
        let Some(keys) = &self.keys else {
            return Vec::new();
        };
        // `2016-07-05T15:07:59.000Z` -> `20160705T150759Z`.
        let mut time: String = now.to_iso().chars().take(19).collect();
        time.retain(|c| !matches!(c, '-' | ':'));
        time.push('Z');
        let day = time[..time.len().min(8)].to_owned();
        let mut headers = vec![
            ("host", self.host.clone()),
            ("x-amz-content-sha256", EMPTY.to_owned()),
            ("x-amz-date", time.clone()),
        ];
        if let Some(session) = &keys.session {
            headers.push(("x-amz-security-token", session.clone()));
        }
        let mut canonical = format!("HEAD\n{path}\n{query}\n");
        for (name, value) in &headers {
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let _ = write!(canonical, "\n{names}\n{EMPTY}");
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hex(&Sha256::digest(canonical.as_bytes()))
        );
        let mut key = format!("AWS4{}", keys.secret).into_bytes();
        for part in [&day, self.region.as_str(), "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex(&mac(&key, &text));
        let credential = format!("{}/{scope}", keys.id);
        headers.push((
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
        ));
        // The client writes this one itself.
        headers.retain(|(name, _)| *name != "host");
        headers
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sends one request; waits, so it runs on a thread that may.
fn head(
    agent: &ureq::Agent,
    url: &str,
    headers: Vec<(&'static str, String)>,
) -> Result<Vec<(String, String)>, String> {
    let mut request = agent.head(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.call().map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the store answers {}", answer.status()));
    }
    Ok(answer
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-amz-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect())
}

#[async_trait::async_trait]
impl ObjectMetadata for ObjectStore {
    async fn of(&self, objects: Vec<ObjectName>) -> Vec<Result<Vec<(String, String)>, StoreError>> {
        let mut answers: Vec<Result<Vec<(String, String)>, StoreError>> = objects
            .iter()
            .map(|_| Err(StoreError("the store gave no answer".to_owned())))
            .collect();
        let mut tasks = JoinSet::new();
        for (index, object) in objects.into_iter().enumerate() {
            let failed =
                move |what: &str, why: String| StoreError(format!("HEAD of {what:?}: {why}"));
            let what = format!("{}/{}", object.bucket, object.key);
            match self.request(&object) {
                Err(why) => answers[index] = Err(failed(&what, why)),
                Ok((url, headers)) => {
                    let (agent, room) = (self.agent.clone(), self.room.clone());
                    tasks.spawn(async move {
                        let _permit = room.acquire_owned().await;
                        let asked =
                            tokio::task::spawn_blocking(move || head(&agent, &url, headers)).await;
                        let answer = asked.unwrap_or_else(|_| Err("the request broke off".into()));
                        (index, answer.map_err(|why| failed(&what, why)))
                    });
                }
            }
        }
        while let Some(done) = tasks.join_next().await {
            if let Ok((index, answer)) = done {
                answers[index] = answer;
            }
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    struct Stopped(Timestamp);

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn store(endpoint: &str) -> ObjectStore {
        let keys = StoreKeys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session: None,
        };
        let clock = Stopped(Timestamp::parse("2013-05-24T00:00:00.000Z").unwrap());
        ObjectStore::new(endpoint, "us-east-1", Some(keys), Arc::new(clock)).unwrap()
    }

    /// The keys, the time and the host of AWS's own example of a signed GET ("Signature Calculations for the
    /// Authorization Header", GET Object); the value was made by another implementation (botocore's SigV4Auth) for HEAD.
    #[test]
    fn the_signature_is_what_another_implementation_makes() {
        let store = store("https://examplebucket.s3.amazonaws.com");
        let headers = store.sign("/data/a%20b%2Bc.txt", "versionId=v1", store.clock.now());
        let (name, value) = headers.last().unwrap();
        assert_eq!(*name, "authorization");
        assert_eq!(
            value,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=bf1c69a693b3b06765ee44515ebd996acae98e720ea8cb84713b0206ce25bbc8"
        );
    }

    #[test]
    fn endpoints_that_cannot_be_used_are_named() {
        let clock = || Arc::new(Stopped(Timestamp::default()));
        for (endpoint, why) in [
            ("minio:9000/x", "http"),
            ("ftp://h", "begin with http"),
            ("http://h/path", "end after the host"),
            ("http://id:secret@h", "AWS_ACCESS_KEY_ID"),
        ] {
            let error = ObjectStore::new(endpoint, "r", None, clock())
                .err()
                .unwrap();
            assert!(
                error.contains(why) || error.contains("no URL"),
                "{endpoint}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn metadata_is_read_and_each_object_fails_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                let signed = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .any(|line| line.to_ascii_lowercase().starts_with("authorization: aws4"));
                assert!(signed);
                let answer = if first.contains("missing") {
                    "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n"
                } else {
                    "HTTP/1.1 200 OK\r\nX-Amz-Meta-X-Project: carillon\r\ncontent-length: 7\r\nconnection: close\r\n\r\n"
                };
                stream.write_all(answer.as_bytes()).unwrap();
                seen.push(first);
            }
            seen.sort();
            seen
        });
        let object = |bucket: &str, key: &str, version: Option<&str>| ObjectName {
            bucket: bucket.into(),
            key: key.into(),
            version: version.map(str::to_owned),
        };
        let answers = store(&format!("http://{address}"))
            .of(vec![
                object("movie", "a b/ü.avi", Some("v+1")),
                object("movie", "missing", None),
                object("../secret", "x", None),
            ])
            .await;
        assert_eq!(
            answers[0],
            Ok(vec![("x-project".to_owned(), "carillon".to_owned())])
        );
        let reason = |index: usize| answers[index].clone().unwrap_err().0;
        assert!(reason(1).contains("404"), "{}", reason(1));
        assert!(reason(2).contains("no bucket"), "{}", reason(2));
        assert_eq!(
            server.join().unwrap(),
            [
                "HEAD /movie/a%20b/%C3%BC.avi?versionId=v%2B1 HTTP/1.1",
                "HEAD /movie/missing HTTP/1.1"
            ]
        );
    }
}

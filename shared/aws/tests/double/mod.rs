//! Doubles of S3 and SQS behind one port: a bucket in memory, and queues that take everything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    log: Vec<String>,
    refuse: bool,
}

/// The doubles. They run on a thread of their own, and end with the process.
#[derive(Clone)]
pub(crate) struct Double {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Double {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let held = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, held.clone()));
                }
            });
        });
        Double { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for, in order: `PUT /bucket/key`, `GET /bucket/...`, `POST queue`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub(crate) fn objects(&self) -> usize {
        self.state.lock().unwrap().objects.len()
    }

    pub(crate) fn put(&self, key: &str, body: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.objects.insert(key.to_owned(), body.to_vec());
    }

    /// Whether the bucket refuses everything.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.state.lock().unwrap().refuse = refuse;
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        assert!(
            !name.eq_ignore_ascii_case("transfer-encoding"),
            "the double reads bodies of a known length"
        );
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(Request {
        method,
        path: path.to_owned(),
        query: pairs.map(|(k, v)| (k.to_owned(), decoded(v))).collect(),
        body,
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let (status, kind, body) = answer(&request, &mut state.lock().unwrap());
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.flush().await
        };
        if sent.await.is_err() {
            return;
        }
    }
}

fn answer(request: &Request, state: &mut State) -> (u16, &'static str, Vec<u8>) {
    if request.method == "POST" {
        let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let queue = asked["QueueUrl"].as_str().unwrap().rsplit('/').next();
        state.log.push(format!("POST {}", queue.unwrap()));
        let taken = asked["Entries"].as_array().unwrap().iter();
        let taken = taken.map(|entry| {
            serde_json::json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"})
        });
        let body = serde_json::json!({"Successful": taken.collect::<Vec<_>>(), "Failed": []});
        return (200, "application/x-amz-json-1.0", body.to_string().into());
    }
    state
        .log
        .push(format!("{} {}", request.method, request.path));
    if state.refuse {
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        return (403, "application/xml", body.into());
    }
    let key = request
        .path
        .strip_prefix("/history")
        .expect("the archive asks for its bucket alone")
        .trim_start_matches('/');
    match (request.method.as_str(), key) {
        ("PUT", key) => {
            state.objects.insert(key.to_owned(), request.body.clone());
            (200, "application/xml", Vec::new())
        }
        ("GET", "") => (200, "application/xml", list(request, state).into()),
        ("GET", key) => match state.objects.get(key) {
            Some(body) => (200, "application/gzip", body.clone()),
            None => (
                404,
                "application/xml",
                "<Error><Code>NoSuchKey</Code></Error>".into(),
            ),
        },
        (method, _) => panic!("the archive asks for no {method}"),
    }
}

fn list(request: &Request, state: &State) -> String {
    let most: usize = request.query["max-keys"].parse().unwrap();
    let (prefix, after) = (&request.query["prefix"], &request.query["start-after"]);
    let found: Vec<&String> = state
        .objects
        .keys()
        .filter(|key| key.starts_with(prefix) && *key > after)
        .take(most + 1)
        .collect();
    let mut xml = format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>",
        found.len() > most
    );
    for key in found.into_iter().take(most) {
        let _ = write!(xml, "<Contents><Key>{key}</Key></Contents>");
    }
    xml + "</ListBucketResult>"
}

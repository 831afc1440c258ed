//! A double of DynamoDB, SNS and SQS on loopback: as much of them as the adapters ask for, and a script that makes answers get
//! lost and others come in between. One thread a connection; nothing else is needed, so that programs can use it too.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each program uses a part of it"
)]

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Items by partition and sort key.
pub type Items = BTreeMap<(String, String), Value>;

/// What is to happen with a request.
pub enum Verdict {
    /// As usual.
    Go,
    /// It takes effect, and nobody hears of it.
    LoseAnswer,
    /// It takes no effect.
    Answer(u16, String),
}

/// Sees each request before it takes effect: its operation, its body, and the table.
pub type Script = Box<dyn FnMut(&str, &Value, &mut Items) -> Verdict + Send>;

#[derive(Default)]
pub struct State {
    pub items: Items,
    pub script: Option<Script>,
    /// Operations, in order.
    pub seen: Vec<String>,
    /// Requests that send to SQS.
    pub sent: Vec<Value>,
    /// Bodies of requests to SNS.
    pub published: Vec<BTreeMap<String, String>>,
    /// What SNS answers; default: everything is taken.
    pub sns: Option<Box<dyn FnMut(&BTreeMap<String, String>) -> (u16, String) + Send>>,
}

#[derive(Clone)]
pub struct Double {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Double {
    pub fn start() -> Self {
        Self::listen("127.0.0.1:0")
    }

    pub fn listen(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Double { url, state }
    }

    pub fn script(&self, script: impl FnMut(&str, &Value, &mut Items) -> Verdict + Send + 'static) {
        self.state.lock().unwrap().script = Some(Box::new(script));
    }

    pub fn count(&self, operation: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|held| *held == operation).count()
    }
}

/// Serves one connection; ends when it does.
fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut length, mut target, mut line) = (0, String::new(), String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let Some((name, value)) = line.trim().split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "x-amz-target" => target = value.split('.').next_back()?.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, text) = answer(&mut state.lock().unwrap(), &target, &body)?;
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(text.as_bytes()).ok()?;
    }
}

fn answer(state: &mut State, target: &str, body: &[u8]) -> Option<(u16, String)> {
    if target.is_empty() {
        return Some(sns(state, body));
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    state.seen.push(target.to_owned());
    if target == "GetQueueUrl" {
        let name = body["QueueName"].as_str().unwrap();
        let url = format!("http://127.0.0.1/000000000000/{name}");
        return Some((200, json!({ "QueueUrl": url }).to_string()));
    }
    if target == "SendMessageBatch" {
        let entries = body["Entries"].as_array().unwrap().iter();
        let taken: Vec<Value> = entries
            .map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""}))
            .collect();
        state.sent.push(body);
        return Some((200, json!({"Successful": taken, "Failed": []}).to_string()));
    }
    let verdict = match &mut state.script {
        Some(script) => script(target, &body, &mut state.items),
        None => Verdict::Go,
    };
    if let Verdict::Answer(status, text) = verdict {
        return Some((status, text));
    }
    let (status, value) = dynamodb(&mut state.items, target, &body);
    match verdict {
        Verdict::LoseAnswer => None,
        _ => Some((status, value.to_string())),
    }
}

fn key(of: &Value) -> (String, String) {
    let part = |name: &str| of[name]["S"].as_str().unwrap().to_owned();
    (part("pk"), part("sk"))
}

fn dynamodb(items: &mut Items, target: &str, body: &Value) -> (u16, Value) {
    match target {
        "CreateTable" => (200, json!({})),
        "GetItem" => match items.get(&key(&body["Key"])) {
            Some(item) => (200, json!({ "Item": item })),
            None => (200, json!({})),
        },
        "PutItem" => {
            items.insert(key(&body["Item"]), body["Item"].clone());
            (200, json!({}))
        }
        "DeleteItem" => match items.remove(&key(&body["Key"])) {
            Some(item) if body["ReturnValues"] == "ALL_OLD" => (200, json!({ "Attributes": item })),
            _ => (200, json!({})),
        },
        "Query" => {
            let given = &body["ExpressionAttributeValues"];
            let pk = given[":pk"]["S"].as_str().unwrap();
            let above = given[":above"]["S"].as_str().unwrap_or("");
            let below = given[":below"]["S"].as_str().unwrap_or("\u{10ffff}");
            let mut found: Vec<&Value> = items
                .iter()
                .filter(|((held, sk), _)| held == pk && (above..=below).contains(&sk.as_str()))
                .map(|(_, item)| item)
                .collect();
            if body["ScanIndexForward"] == false {
                found.reverse();
            }
            found.truncate(
                body["Limit"]
                    .as_u64()
                    .map_or(usize::MAX, |most| most as usize),
            );
            (200, json!({ "Items": found, "Count": found.len() }))
        }
        "UpdateItem" if holds(items, body) => {
            update(items, body);
            (200, json!({}))
        }
        "UpdateItem" => (
            400,
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}),
        ),
        "TransactWriteItems" => transact(items, body["TransactItems"].as_array().unwrap()),
        "BatchWriteItem" => {
            for requests in body["RequestItems"].as_object().unwrap().values() {
                for request in requests.as_array().unwrap() {
                    match request.get("DeleteRequest") {
                        Some(delete) => drop(items.remove(&key(&delete["Key"]))),
                        None => {
                            let item = &request["PutRequest"]["Item"];
                            items.insert(key(item), item.clone());
                        }
                    }
                }
            }
            (200, json!({ "UnprocessedItems": {} }))
        }
        other => (
            400,
            json!({"__type": format!("the double knows no {other}")}),
        ),
    }
}

fn transact(items: &mut Items, actions: &[Value]) -> (u16, Value) {
    assert!(
        actions.len() <= 100,
        "a transaction of {} actions",
        actions.len()
    );
    let named: std::collections::BTreeSet<_> = actions
        .iter()
        .map(|action| {
            let (_, what) = action.as_object().unwrap().iter().next().unwrap();
            key(what.get("Key").unwrap_or(&what["Item"]))
        })
        .collect();
    assert_eq!(named.len(), actions.len(), "an item twice in a transaction");
    let fails: Vec<bool> = actions
        .iter()
        .map(|action| {
            let (_, what) = action.as_object().unwrap().iter().next().unwrap();
            !holds(items, what)
        })
        .collect();
    if fails.contains(&true) {
        let code =
            |fails: &bool| json!({"Code": if *fails { "ConditionalCheckFailed" } else { "None" }});
        let reasons: Vec<Value> = fails.iter().map(code).collect();
        return (
            400,
            json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "CancellationReasons": reasons,
            }),
        );
    }
    for action in actions {
        let (kind, what) = action.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "Put" => drop(items.insert(key(&what["Item"]), what["Item"].clone())),
            "Delete" => drop(items.remove(&key(&what["Key"]))),
            "Update" => update(items, what),
            "ConditionCheck" => {}
            other => panic!("the double knows no {other}"),
        }
    }
    (200, json!({}))
}

/// `attribute_not_exists(a)` and `a = :b`, joined by AND.
fn holds(items: &Items, what: &Value) -> bool {
    let Some(condition) = what["ConditionExpression"].as_str() else {
        return true;
    };
    let item = items.get(&key(&what["Key"]));
    condition.split(" AND ").all(|term| {
        if let Some(name) = term.strip_prefix("attribute_not_exists(") {
            let name = name.trim_end_matches(')');
            return item.is_none_or(|item| item.get(name).is_none());
        }
        let (name, value) = term.split_once(" = ").unwrap();
        item.is_some_and(|item| item[name] == what["ExpressionAttributeValues"][value])
    })
}

/// `SET a = :b, #c = :d` and `REMOVE a`.
fn update(items: &mut Items, what: &Value) {
    let (pk, sk) = key(&what["Key"]);
    let fresh = json!({"pk": {"S": pk}, "sk": {"S": sk}});
    let item = items.entry((pk, sk)).or_insert(fresh);
    let item: &mut Map<String, Value> = item.as_object_mut().unwrap();
    let expression = what["UpdateExpression"].as_str().unwrap();
    if let Some(name) = expression.strip_prefix("REMOVE ") {
        item.remove(name);
        return;
    }
    for term in expression.strip_prefix("SET ").unwrap().split(", ") {
        let (name, value) = term.split_once(" = ").unwrap();
        let name = what["ExpressionAttributeNames"][name]
            .as_str()
            .unwrap_or(name);
        item.insert(
            name.to_owned(),
            what["ExpressionAttributeValues"][value].clone(),
        );
    }
}

fn sns(state: &mut State, body: &[u8]) -> (u16, String) {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let fields: BTreeMap<String, String> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect();
    state.published.push(fields.clone());
    if let Some(sns) = &mut state.sns {
        return sns(&fields);
    }
    let entries: String = (1..)
        .map_while(|n| fields.get(&format!("PublishBatchRequestEntries.member.{n}.Id")))
        .map(|id| format!("<member><Id>{id}</Id><MessageId>m{id}</MessageId></member>"))
        .collect();
    (
        200,
        format!(
            "<PublishBatchResponse><PublishBatchResult><Successful>{entries}</Successful></PublishBatchResult></PublishBatchResponse>"
        ),
    )
}

/// Percent-decoding.
fn plain(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let hex: String = [bytes.next().unwrap(), bytes.next().unwrap()]
                    .map(char::from)
                    .iter()
                    .collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).unwrap()
}

//! The MNS queue interface at its edges: names, switches, XML and batches as clients send them, well or badly. The rows
//! of `cases/queues.json` run in order on one service; `@BIG` stands for a text of 64 KiB.

// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use carillon_manage::Settings;
use serde::Deserialize;
use support::world;

#[derive(Deserialize)]
struct Case {
    name: String,
    method: String,
    target: String,
    body: String,
    status: u16,
    /// The code of a refusal.
    code: Option<String>,
    /// What the answer's body holds; in XML, or as JSON has it.
    says: Option<String>,
}

#[tokio::test]
async fn what_clients_send_is_taken_whole_or_refused_in_the_vendor_s_words() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases/queues.json")).unwrap();
    let world = world(Settings::default());
    let big = "x".repeat(65_536);
    let mut wrong = Vec::new();
    for case in cases {
        let body = case.body.replace("@BIG", &big);
        let answer = world.http(&case.method, &case.target, &[], &body).await;
        let code = case.code.map(|code| {
            [
                format!("<Code>{code}</Code>"),
                format!("{{\"Code\":\"{code}\""),
            ]
        });
        let coded =
            code.is_none_or(|forms| forms.iter().any(|form| answer.body.contains(form.as_str())));
        let said = case.says.is_none_or(|says| {
            answer
                .body
                .replace("&amp;", "&")
                .contains(&says.replace("&amp;", "&"))
        });
        if answer.status != case.status || !coded || !said {
            wrong.push(format!("{}: {} {}", case.name, answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

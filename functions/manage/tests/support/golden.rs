//! Requests and their answers, held byte for byte to files.

use super::World;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Headers of an answer that are part of the contract.
const HEADERS: [&str; 8] = [
    "content-type",
    "location",
    "x-acs-request-id",
    "x-mns-request-id",
    "x-mns-version",
    "x-oss-process-status",
    "x-oss-event-status",
    "retry-after",
];

/// The requests of one test program, and a folder of files below `tests/golden`.
pub struct Golden {
    pub world: World,
    folder: PathBuf,
    pub seen: BTreeSet<String>,
    different: Vec<String>,
}

impl Golden {
    pub fn new(world: World, folder: &str) -> Self {
        Golden {
            world,
            folder: PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("tests/golden")
                .join(folder),
            seen: BTreeSet::new(),
            different: Vec::new(),
        }
    }

    /// Sends a request and holds it and its answer to `<name>.http`.
    pub async fn http(
        &mut self,
        name: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let answer = self.world.http(method, target, headers, body).await;
        let mut text = format!("{method} {target}\n");
        for (name, value) in headers {
            let _ = writeln!(text, "{name}: {value}");
        }
        if !body.is_empty() {
            let _ = write!(text, "\n{body}\n");
        }
        let _ = write!(text, "\n=> {}\n", answer.status);
        for name in HEADERS {
            if let Some(value) = answer.headers.get(name) {
                let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
            }
        }
        if !answer.body.is_empty() {
            // A reviewer reads members, not one long line; the compact form is what any JSON writer makes of it.
            let shown = match serde_json::from_str::<serde_json::Value>(&answer.body) {
                Ok(value) => {
                    assert_eq!(value.to_string(), answer.body, "JSON answers are compact");
                    serde_json::to_string_pretty(&value).unwrap()
                }
                Err(_) => answer.body.clone(),
            };
            let _ = write!(text, "\n{shown}\n");
        }
        let path = self.folder.join(format!("{name}.http"));
        assert!(self.seen.insert(name.to_owned()), "{name} is used twice");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&self.folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        } else {
            let held = std::fs::read_to_string(&path).unwrap_or_default();
            if held != text {
                self.different
                    .push(format!("--- {name}\nwant:\n{held}\nhave:\n{text}"));
            }
        }
        answer.body
    }

    /// One management action; what follows a dot in the name tells its cases apart.
    pub async fn act(&mut self, name: &str, parameters: &[(&str, &str)]) {
        let action = name.split('.').next().unwrap();
        let mut query = String::new();
        for (name, value) in parameters {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            let _ = write!(
                query,
                "{}{name}={value}",
                if query.is_empty() { '?' } else { '&' }
            );
        }
        let headers = [("x-acs-action", action), ("x-acs-version", "2022-01-19")];
        self.http(name, "POST", &format!("/{query}"), &headers, "")
            .await;
    }

    /// All held, and no file is left over.
    pub fn finish(self) {
        assert!(self.different.is_empty(), "{}", self.different.join("\n"));
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.strip_suffix(".http").unwrap_or(&name).to_owned();
            assert!(self.seen.contains(&stem), "{name} belongs to no request");
        }
    }
}

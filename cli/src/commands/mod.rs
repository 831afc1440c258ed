//! Commands that talk to a running service: each is one or two of its actions and a way to print the answer.

pub(crate) mod account;
pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod dead_letter;
pub(crate) mod delivery;
pub(crate) mod key;
pub(crate) mod man;
pub(crate) mod queue;
pub(crate) mod replay;
pub(crate) mod rule;
mod selection;
pub(crate) mod send;
pub(crate) mod subscription;
pub(crate) mod tail;
pub(crate) mod topic;

use crate::client::Client;
use crate::failure::Failure;
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;

/// Reads a file, or standard input for `-`.
pub(crate) fn read_input(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::file(path, &error))?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| Failure::file(path, &error))
}

/// All pages of a list action.
pub(crate) fn all_pages(
    client: &Client,
    action: &str,
    parameters: &[(&str, String)],
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    for page in 1u32.. {
        let mut parameters = parameters.to_vec();
        parameters.push(("PageNum", page.to_string()));
        parameters.push(("PageSize", "50".to_owned()));
        let mut data = client.action(action, &parameters)?;
        let Some(Value::Array(rows)) = data.get_mut("PageData").map(Value::take) else {
            break;
        };
        let last = rows.len() < 50;
        items.extend(rows);
        if last {
            break;
        }
    }
    Ok(items)
}

/// Up to `limit` items of a list that is read piece by piece.
pub(crate) fn pieces(
    client: &Client,
    action: &str,
    parameters: &[(&str, String)],
    limit: usize,
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut token: Option<String> = None;
    while items.len() < limit {
        let mut parameters = parameters.to_vec();
        parameters.push(("MaxResults", (limit - items.len()).min(100).to_string()));
        parameters.extend(token.take().map(|token| ("NextToken", token)));
        let mut data = client.action(action, &parameters)?;
        if let Some(Value::Array(rows)) = data.get_mut("PageData").map(Value::take) {
            items.extend(rows);
        }
        match data["NextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(items)
}

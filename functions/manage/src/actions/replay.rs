//! ReplayEvents: sends accepted events through the rules once more, under the same ids.
//!
//! One call looks at a bounded number of events for a bounded time and gives the token of the next: a million events hold
//! up neither the service nor a request, and a replay that was cut off goes on where it stopped. A call that fails
//! half-way may have sent some of its events; called again with the same token it sends them again, under the same ids.

use crate::actions::history::{History, Past, Window};
use crate::error::Refused;
use crate::params::Params;
use crate::rpc::{Answer, Call};
use carillon_core::envelope::Packer;
use carillon_core::event::{Event, Product};
use carillon_core::rule::RuleName;
use carillon_core::ruleset::{Hits, Snapshot};
use serde_json::{Value, json};
use std::time::Duration;

/// Time after which a call begins no further page.
const BUDGET: Duration = Duration::from_secs(2);
/// Most packs that are read at a time.
const ONCE: usize = 64;

/// Which events are sent again, and to whom.
struct Asked {
    product: Option<Product>,
    rule: Option<RuleName>,
    /// The bucket.
    resource: Option<String>,
}

/// Replays events of a window, by the time of acceptance: see [`Window::read`]. `RuleName` (and `ProductName`, default
/// `oss`) names the one rule that is told, of those events that it covers by the rules of now; without it, the events are
/// judged as if they came in now. `ProductName` and `ResourceName` (a bucket) narrow. `DryRun=true` only counts.
/// `MaxEvents` (1 to 50 000, default 5 000) is about how many a call looks at.
pub(crate) async fn replay(call: Call<'_>) -> Answer {
    let Call {
        service, params, ..
    } = call;
    let window = Window::read(params, service.now(), None)?;
    let asked = Asked::read(params)?;
    let dry = params.flag("DryRun")? == Some(true);
    let most = params.number32("MaxEvents", 1..=50_000)?.unwrap_or(5_000) as usize;
    let (since, until, begins) = (window.since, window.until, window.begins());
    let mut history = History::of(service, window)?;
    let snapshot = service.snapshots.current().await?;
    asked.check(&snapshot)?;

    let began = service.now();
    let (mut looked_at, mut sent, mut too_large) = (0, 0, 0);
    let mut limit = (most / 64).clamp(1, ONCE);
    while !history.ended() && looked_at < most && service.now().since(began) < BUDGET {
        let page = history.page(limit).await?;
        let largest = page.iter().map(|past| past.pack.events.len()).max();
        looked_at += page
            .iter()
            .map(|past| past.pack.events.len())
            .sum::<usize>();
        limit = (most.saturating_sub(looked_at) / largest.unwrap_or(1).max(1)).clamp(1, ONCE);
        let again = asked.choose(page, &snapshot);
        sent += again.events;
        too_large += again.too_large;
        if dry || again.messages.is_empty() {
            continue;
        }
        let count = again.messages.len();
        let results = history.archive().send_again(again.messages).await;
        let refused = results.iter().find_map(|result| result.as_ref().err());
        if refused.is_some() || results.len() < count {
            let reason = refused.map_or("the queue gave no answer".to_owned(), ToString::to_string);
            return Err(Refused::new(
                503,
                "ServiceUnavailable",
                format!(
                    "not all of this page was sent again: {reason}; ask for the same page again, ids stay the same"
                ),
            ));
        }
    }
    let mut data = json!({
        "Since": since.to_iso(),
        "Until": until.to_iso(),
        "Reached": history.reached().to_iso(),
        "Events": looked_at,
        "Replayed": sent,
        "DryRun": dry,
    });
    // What ought to be nothing is said when it is not.
    for (member, count) in [("Unreadable", history.unreadable), ("TooLarge", too_large)] {
        if count > 0 {
            data[member] = json!(count);
        }
    }
    if begins && let Some(oldest) = history.archive().oldest().await? {
        data["Oldest"] = json!(oldest.to_iso());
    }
    if let Some(token) = history.token() {
        data["NextToken"] = Value::String(token);
    }
    Ok(Some(data))
}

/// What of a page is sent again.
#[derive(Default)]
struct Again {
    messages: Vec<String>,
    events: usize,
    /// Events that fit no message together with the rule's name.
    too_large: usize,
}

impl Asked {
    fn read(params: &Params) -> Result<Self, Refused> {
        let rule = params.parsed("RuleName", RuleName::parse)?;
        let product = params.parsed("ProductName", Product::parse)?;
        Ok(Asked {
            // A rule's name is its product's own.
            product: product.or_else(|| rule.is_some().then_some(Product::Oss)),
            rule,
            resource: params.text("ResourceName").map(str::to_owned),
        })
    }

    /// Whether there is such a rule, and it tells anybody.
    fn check(&self, snapshot: &Snapshot) -> Result<(), Refused> {
        let (Some(product), Some(name)) = (&self.product, &self.rule) else {
            return Ok(());
        };
        let Some(rule) = snapshot.rule_set(product).rule(name) else {
            return Err(Refused::no_rule(product.as_str(), name.as_str()));
        };
        if !rule.enabled {
            return Err(Refused::new(
                409,
                "EventRuleDisabled",
                format!(
                    "rule {:?} (field RuleName) is disabled and would tell nobody: enable it with EnableEventRule first",
                    name.as_str()
                ),
            ));
        }
        Ok(())
    }

    fn choose(&self, page: Vec<Past>, snapshot: &Snapshot) -> Again {
        let mut again = Again::default();
        if self.product.is_none() && self.rule.is_none() && self.resource.is_none() {
            again.events = page.iter().map(|past| past.pack.events.len()).sum();
            again.messages = page.into_iter().map(|past| past.message).collect();
            return again;
        }
        let mut packer = self.rule.as_ref().map_or_else(Packer::new, Packer::only);
        let mut hits = Hits::new();
        for event in page.iter().flat_map(|past| &past.pack.events) {
            if !self.takes(event, snapshot, &mut hits) {
                continue;
            }
            match packer.push(event) {
                Ok(_) => again.events += 1,
                Err(error) => {
                    tracing::warn!(%error, "an event cannot be replayed for one rule");
                    again.too_large += 1;
                }
            }
        }
        again.messages = packer.finish();
        again
    }

    fn takes(&self, event: &Event, snapshot: &Snapshot, hits: &mut Hits) -> bool {
        let of_product = (self.product.as_ref()).is_none_or(|product| *product == event.product);
        let of_resource = self.resource.as_ref().is_none_or(|bucket| {
            let rest = event.resource.strip_prefix(bucket.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        of_product
            && of_resource
            && self.rule.as_ref().is_none_or(|name| {
                snapshot
                    .rule_set(&event.product)
                    .judge(event.event_type.as_str(), &event.resource, hits)
                    .any(|rule| rule.name == *name)
            })
    }
}

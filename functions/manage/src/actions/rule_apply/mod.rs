//! ApplyEventRules: makes the rules equal to a rule file, in one transaction. Beyond SMQ.
//!
//! | parameter | meaning |
//! |---|---|
//! | `Rules` | the rule file: a JSON array of CreateEventRule's parameters, `Enabled` with them |
//! | `ProductName` | only rules of this product are compared; all products without it |
//! | `KeepOthers` | `true`: rules that are not in the file stay; otherwise they are deleted |
//! | `DryRun` | `true`: tells the plan and changes nothing; open to keys that only read |
//! | `PlanId` | the plan that was shown: another plan is refused with `EventRulesChanged`, and nothing is changed |
//!
//! The file is judged as the final set: two rules may swap their patterns in one go. All that is wrong with it is told at
//! once, and then nothing is changed.

mod plan;

use crate::actions::rule_change::reattach;
use crate::actions::rule_create::{attach, check_endpoint};
use crate::actions::rule_delete::detach;
use crate::error::Refused;
use crate::gate::Want;
use crate::ledger::{Books, View};
use crate::params::Params;
use crate::rpc::{Answer, Call};
use crate::service::Service;
use carillon_core::event::Product;
use carillon_core::ports::Change;
use carillon_core::rule::{Endpoint, Rule, RuleFile};
use carillon_core::ruleset::{Conflict, Overlap, check};
use plan::{Scope, Step};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Most refusals that one answer lists.
const LISTED: usize = 100;

/// Applies a rule file, or shows what that would do.
pub(crate) async fn apply(call: Call<'_>) -> Answer {
    let Call {
        service,
        request,
        params,
    } = call;
    let scope = Scope {
        product: params.parsed("ProductName", Product::parse)?,
        keep_others: params.flag("KeepOthers")?.unwrap_or(false),
    };
    let dry_run = params.flag("DryRun")?.unwrap_or(false);
    if !dry_run {
        request.may(Want::Change, "ApplyEventRules without DryRun")?;
    }
    let shown_before = params.text("PlanId");
    let wanted = read(service, params, &scope)?;

    let first = service
        .ledger
        .read(|view| plan::plan(view, &wanted, &scope))
        .await?;
    check_endpoints(service, &first).await?;
    let draw = service.ports.random.draw();
    let data = service
        .ledger
        .change(|view, books| {
            let steps = plan::plan(view, &wanted, &scope);
            let mut data = plan::data(&steps);
            if let Some(before) = shown_before.filter(|before| data["PlanId"] != **before) {
                return Err(changed(before));
            }
            let changes = judge(service, &steps, view, books, draw)?;
            if dry_run {
                // What the books hold must be committed, and this is not.
                for step in &steps {
                    books.forget(&step.rule().product);
                }
                data.insert("Applied".into(), json!(false));
                return Ok((Vec::new(), data));
            }
            data.insert("Applied".into(), json!(true));
            Ok((changes, data))
        })
        .await?;
    Ok(Some(Value::Object(data)))
}

fn changed(before: &str) -> Refused {
    Refused::new(
        409,
        "EventRulesChanged",
        format!(
            "PlanId, value {before:?}: the rules have changed since this plan was made, and nothing was applied: ask for \
             the plan anew (DryRun), look at it, and apply that"
        ),
    )
}

/// Reads the file; everything wrong with it by itself is told at once.
fn read(service: &Service, params: &Params, scope: &Scope) -> Result<Vec<Rule>, Refused> {
    let text = params.require("Rules")?;
    let limits = &service.settings.limits.rules;
    let file = RuleFile::read(text.as_bytes(), limits)
        .map_err(|error| Refused::argument("Rules", text, error))?;
    let mut told: Vec<String> = file.faults.iter().map(ToString::to_string).collect();
    if let Some(only) = &scope.product {
        let others = file.rules.iter().filter(|rule| rule.product != *only);
        told.extend(others.map(|rule| {
            format!(
                "rule {:?}, field ProductName, value {:?}: only product {:?} was asked for: take the rule out of the \
                 file, or the limit to one product away",
                rule.name.as_str(),
                rule.product.as_str(),
                only.as_str()
            )
        }));
    }
    let mut code = "InvalidArgument";
    let mut count = told.len();
    if service.settings.overlap == Overlap::Refuse {
        let report = check(&file);
        if told.is_empty() && report.conflict_count > 0 {
            code = "EventRuleConflict";
        }
        count += report.conflict_count;
        told.extend(report.conflicts.iter().map(ToString::to_string));
    }
    refuse(code, told, count)?;
    Ok(file.rules)
}

/// Refuses if anything is to be told: one line each, the first hundred of `count`.
fn refuse(code: &'static str, mut told: Vec<String>, count: usize) -> Result<(), Refused> {
    if told.is_empty() {
        return Ok(());
    }
    if count > LISTED {
        told.truncate(LISTED);
        told.push(format!("and {} more", count - told.len()));
    }
    let status = match code {
        "EventRuleConflict" => 409,
        "QueueNotExist" | "TopicNotExist" => 404,
        _ => 400,
    };
    Err(Refused::new(status, code, told.join("\n")))
}

/// Checks the endpoints of rules that are new or changed, each endpoint once.
async fn check_endpoints(service: &Service, steps: &[Step]) -> Result<(), Refused> {
    let mut seen: HashSet<&Endpoint> = HashSet::new();
    let mut faults = Faults::default();
    for step in steps {
        let (Step::Create(rule) | Step::Replace(_, rule)) = step else {
            continue;
        };
        for (index, endpoint) in rule.endpoints.iter().enumerate() {
            if !seen.insert(endpoint) {
                continue;
            }
            match check_endpoint(service, index, endpoint).await {
                Ok(()) => {}
                Err(refused) if refused.status < 500 => faults.add(rule, &refused),
                Err(refused) => return Err(refused),
            }
        }
    }
    faults.finish()
}

/// What is wrong with the rules of a file, each under its rule's name.
#[derive(Default)]
struct Faults {
    codes: HashSet<&'static str>,
    told: Vec<String>,
}

impl Faults {
    fn add(&mut self, rule: &Rule, refused: &Refused) {
        self.codes.insert(refused.code);
        self.told.push(format!(
            "rule {:?}: {}",
            rule.name.as_str(),
            refused.message
        ));
    }

    /// Refuses if there was any: under their code where they share one.
    fn finish(self) -> Result<(), Refused> {
        let mut codes = self.codes.into_iter();
        let code = match (codes.next(), codes.next()) {
            (Some(only), None) => only,
            _ => "InvalidArgument",
        };
        let count = self.told.len();
        refuse(code, self.told, count)
    }
}

/// Judges the steps as the final set; gives the changes. On a refusal the books are as they were.
fn judge(
    service: &Service,
    steps: &[Step],
    view: &View,
    books: &mut Books,
    draw: u64,
) -> Result<Vec<Change>, Refused> {
    let judged = changes(service, steps, view, draw).and_then(|(changes, rules)| {
        place(steps, rules, view, books)?;
        Ok(changes)
    });
    if judged.is_err() {
        for step in steps {
            books.forget(&step.rule().product);
        }
    }
    judged
}

/// The changes of all steps, and the rules that are new, as they will be stored.
fn changes(
    service: &Service,
    steps: &[Step],
    view: &View,
    draw: u64,
) -> Result<(Vec<Change>, Vec<Rule>), Refused> {
    let now = service.now();
    let (mut changes, mut rules) = (Vec::new(), Vec::new());
    let mut faults = Faults::default();
    let mut topics = view.topics.len();
    for (step, draw) in steps
        .iter()
        .zip(0..)
        .map(|(step, n)| (step, draw.wrapping_add(n)))
    {
        let before = changes.len();
        match step {
            Step::Create(wanted) => {
                let mut rule = wanted.clone();
                rule.created = now;
                match attach(service, &rule, view, now, draw, &mut changes) {
                    Ok(topic) => rule.topic = Some(topic),
                    Err(refused) => faults.add(&rule, &refused),
                }
                changes.push(Change::PutRule(rule.clone()));
                rules.push(rule);
            }
            Step::Replace(held, wanted) => {
                let mut rule = Rule {
                    created: held.created,
                    ..wanted.clone()
                };
                match reattach(service, held, &rule, view, now, draw, &mut changes) {
                    Ok(topic) => rule.topic = Some(topic),
                    Err(refused) => faults.add(&rule, &refused),
                }
                changes.push(Change::PutRule(rule.clone()));
                rules.push(rule);
            }
            Step::Enable(held) | Step::Disable(held) => {
                let rule = Rule {
                    enabled: !held.enabled,
                    ..Rule::clone(held)
                };
                changes.push(Change::PutRule(rule));
            }
            Step::Delete(held) => {
                changes.push(Change::DeleteRule(held.product.clone(), held.name.clone()));
                detach(held, view, now, &mut changes);
            }
            Step::Unchanged(_) => {}
        }
        for change in &changes[before..] {
            match change {
                Change::PutTopic(topic) if !view.topics.contains_key(&topic.name) => topics += 1,
                Change::DeleteTopic(_) => topics -= 1,
                _ => {}
            }
        }
    }
    faults.finish()?;
    // What one rule asks for is within the limit by itself; here they come together.
    let limit = service.settings.limits.topics;
    if topics > limit && topics > view.topics.len() {
        return Err(Refused::new(
            400,
            "EventRuleExceedLimit",
            format!(
                "topics of account {:?}: there would be {topics}, the limit is {limit}; remove some, or raise the limit",
                service.settings.account_id
            ),
        ));
    }
    Ok((changes, rules))
}

/// Puts the final set into the books: first everything that goes or changes is taken out, so that only what stays can
/// be in the way of what comes.
fn place(steps: &[Step], rules: Vec<Rule>, view: &View, books: &mut Books) -> Result<(), Refused> {
    for step in steps {
        let rule = step.rule();
        match step {
            Step::Delete(_) | Step::Replace(..) => {
                books.of(view, &rule.product).remove(&rule.name)?;
            }
            Step::Enable(_) | Step::Disable(_) => {
                let enabled = matches!(step, Step::Enable(_));
                books
                    .of(view, &rule.product)
                    .set_enabled(&rule.name, enabled)?;
            }
            Step::Create(_) | Step::Unchanged(_) => {}
        }
    }
    let overlap = books.overlap();
    let mut conflicts: Vec<Conflict> = Vec::new();
    let mut over: BTreeMap<Product, Refused> = BTreeMap::new();
    for rule in rules {
        let book = books.of(view, &rule.product);
        if overlap == Overlap::Refuse {
            let room = LISTED + 1 - conflicts.len().min(LISTED);
            let found = book.conflicts_of(&rule, room);
            if !found.is_empty() {
                conflicts.extend(found);
                continue;
            }
        }
        let product = rule.product.clone();
        if let Err(refusal) = book.insert(Arc::new(rule)) {
            over.entry(product).or_insert_with(|| refusal.into());
        }
    }
    let count = conflicts.len();
    let told = conflicts.iter().map(ToString::to_string).collect();
    refuse("EventRuleConflict", told, count)?;
    match over.into_values().next() {
        Some(refused) => Err(refused),
        None => Ok(()),
    }
}

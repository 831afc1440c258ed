//! What applying a rule file would do: pure comparison of the rules that stand with the rules that are wanted.

use crate::ledger::View;
use carillon_core::event::Product;
use carillon_core::rule::{Clause, Endpoint, Resources, Rule, RuleName};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// What becomes of one rule.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It is not there yet.
    Create(Rule),
    /// It is there, and differs in more than whether it is enabled.
    Replace(Arc<Rule>, Rule),
    /// It is there, and disabled.
    Enable(Arc<Rule>),
    /// It is there, and the file wants it disabled.
    Disable(Arc<Rule>),
    /// It is there, and not in the file.
    Delete(Arc<Rule>),
    /// It is there as it is wanted.
    Unchanged(Arc<Rule>),
}

impl Step {
    /// The step's name, as the plan has it.
    fn name(&self) -> &'static str {
        match self {
            Step::Create(_) => "Create",
            Step::Replace(..) => "Replace",
            Step::Enable(_) => "Enable",
            Step::Disable(_) => "Disable",
            Step::Delete(_) => "Delete",
            Step::Unchanged(_) => "Unchanged",
        }
    }

    /// The rule, as it stands or is wanted.
    pub(super) fn rule(&self) -> &Rule {
        match self {
            Step::Create(rule) => rule,
            Step::Replace(held, _)
            | Step::Enable(held)
            | Step::Disable(held)
            | Step::Delete(held)
            | Step::Unchanged(held) => held,
        }
    }
}

/// Which of the rules that stand the file speaks of.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// Of this product alone; none: of all.
    pub(super) product: Option<Product>,
    /// Rules that are not in the file are left as they are.
    pub(super) keep_others: bool,
}

/// The steps, in order of product and name.
pub(super) fn plan(view: &View, wanted: &[Rule], scope: &Scope) -> Vec<Step> {
    let wanted: BTreeMap<(&Product, &RuleName), &Rule> = wanted
        .iter()
        .map(|rule| ((&rule.product, &rule.name), rule))
        .collect();
    let mut steps: BTreeMap<(&Product, &RuleName), Step> = BTreeMap::new();
    for (key, rule) in &wanted {
        let step = match view.rule(key.0, key.1) {
            None => Step::Create(Rule::clone(rule)),
            Some(held) if !same(held, rule) => Step::Replace(held.clone(), Rule::clone(rule)),
            Some(held) => match (held.enabled, rule.enabled) {
                (false, true) => Step::Enable(held.clone()),
                (true, false) => Step::Disable(held.clone()),
                _ => Step::Unchanged(held.clone()),
            },
        };
        steps.insert(*key, step);
    }
    if !scope.keep_others {
        let others = view
            .rules
            .iter()
            .filter(|(product, _)| scope.product.as_ref().is_none_or(|only| only == *product))
            .flat_map(|(product, rules)| {
                rules
                    .iter()
                    .map(move |(name, rule)| ((product, name), rule))
            });
        for (key, held) in others {
            steps
                .entry(key)
                .or_insert_with(|| Step::Delete(held.clone()));
        }
    }
    steps.into_values().collect()
}

/// Whether two rules ask for the same, whatever the order in which they say it.
fn same(held: &Rule, wanted: &Rule) -> bool {
    event_types(held) == event_types(wanted)
        && alternatives(held) == alternatives(wanted)
        && endpoints(held) == endpoints(wanted)
}

fn event_types(rule: &Rule) -> BTreeSet<String> {
    rule.event_types.0.iter().map(ToString::to_string).collect()
}

/// Each alternative as the set of its clauses; none: everything.
fn alternatives(rule: &Rule) -> Option<BTreeSet<BTreeSet<String>>> {
    match &rule.resources {
        Resources::All => None,
        Resources::AnyOf(any) => Some(
            any.iter()
                .map(|all| all.iter().map(clause).collect())
                .collect(),
        ),
    }
}

/// The clause in a form that no two unlike clauses share.
fn clause(clause: &Clause) -> String {
    format!("{clause:?}")
}

fn endpoints(rule: &Rule) -> BTreeSet<(&'static str, &str)> {
    rule.endpoints.iter().map(endpoint).collect()
}

fn endpoint(endpoint: &Endpoint) -> (&'static str, &str) {
    (endpoint.kind.as_str(), endpoint.value.as_str())
}

/// The plan as `Data` of the action: `Steps`, how many of each kind, and `PlanId`, which names this very plan.
pub(super) fn data(steps: &[Step]) -> Map<String, Value> {
    let shown: Vec<Value> = steps.iter().map(show).collect();
    let mut summary = Map::new();
    for name in [
        "Create",
        "Replace",
        "Enable",
        "Disable",
        "Delete",
        "Unchanged",
    ] {
        let count = steps.iter().filter(|step| step.name() == name).count();
        summary.insert(name.to_owned(), json!(count));
    }
    let mut data = Map::new();
    data.insert("PlanId".into(), json!(id(&shown)));
    data.insert("Summary".into(), Value::Object(summary));
    data.insert("Steps".into(), Value::Array(shown));
    data
}

/// Names a plan: equal for equal rules standing and equal rules wanted. A plan shown to a person is applied only if it is
/// still the one that would be made.
fn id(shown: &[Value]) -> String {
    let mut hasher = Sha256::new();
    for step in shown {
        hasher.update(step.to_string());
    }
    let digest = hasher.finalize();
    digest[..16]
        .iter()
        .fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn show(step: &Step) -> Value {
    let rule = step.rule();
    let mut shown = Map::new();
    shown.insert("Action".into(), json!(step.name()));
    shown.insert("ProductName".into(), json!(rule.product));
    shown.insert("RuleName".into(), json!(rule.name));
    let differences = match step {
        Step::Create(rule) => differences(None, Some(rule)),
        Step::Replace(held, wanted) => differences(Some(held), Some(wanted)),
        Step::Enable(_) => vec![json!({"Field": "Enabled", "From": false, "To": true})],
        Step::Disable(_) => vec![json!({"Field": "Enabled", "From": true, "To": false})],
        Step::Delete(held) => differences(Some(held), None),
        Step::Unchanged(_) => Vec::new(),
    };
    if !differences.is_empty() {
        shown.insert("Differences".into(), Value::Array(differences));
    }
    Value::Object(shown)
}

/// The members that differ, each as it is and as it will be; of a rule that is on one side alone, all of them.
fn differences(held: Option<&Rule>, wanted: Option<&Rule>) -> Vec<Value> {
    let members = |rule: Option<&Rule>| {
        let spec = rule.map(Rule::to_spec);
        [
            spec.as_ref().map(|spec| json!(spec.event_types)),
            spec.as_ref().map(|spec| json!(spec.match_rules)),
            spec.as_ref().map(|spec| json!(spec.endpoints)),
            rule.map(|rule| json!(rule.enabled)),
        ]
    };
    let differs = |index: usize| match (held, wanted) {
        (Some(held), Some(wanted)) => match index {
            0 => event_types(held) != event_types(wanted),
            1 => alternatives(held) != alternatives(wanted),
            2 => endpoints(held) != endpoints(wanted),
            _ => held.enabled != wanted.enabled,
        },
        // That a new rule is enabled goes without saying.
        (rule, other) => index < 3 || !rule.or(other).is_some_and(|rule| rule.enabled),
    };
    let fields = ["EventTypes", "MatchRules", "Endpoints", "Enabled"];
    let sides = members(held).into_iter().zip(members(wanted));
    fields
        .into_iter()
        .zip(sides)
        .enumerate()
        .filter(|(index, _)| differs(*index))
        .map(|(_, (field, (from, to)))| {
            let mut difference = Map::new();
            difference.insert("Field".into(), json!(field));
            if let Some(from) = from {
                difference.insert("From".into(), from);
            }
            if let Some(to) = to {
                difference.insert("To".into(), to);
            }
            Value::Object(difference)
        })
        .collect()
}

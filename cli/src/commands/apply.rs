//! `carillon rule apply`: makes the service equal to a rule file. The plan is shown first.

use super::read_input;
use super::rule::{list_of, resources};
use crate::client::{Client, ServiceArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, DIM, GOOD, HEADING, complain, plain, print_json, say};
use anstyle::{AnsiColor, Style};
use carillon_core::rule::{Limits, RuleFile};
use carillon_core::ruleset::lint;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

/// What changes and stays.
const CHANGED: Style = AnsiColor::Yellow.on_default().bold();

/// Make the service's rules equal to a rule file, in one transaction, after showing what would change.
///
/// Rules that are not in the file are deleted, and the plan says so; --keep-others leaves them. A rule of the file that
/// is disabled in the service is enabled, unless the file says "Enabled": false. Exit status: 0 applied or nothing to do,
/// 1 refused, declined, or rules changed meanwhile (and then nothing was changed).
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The rule file, or - for standard input.
    file: PathBuf,
    /// Apply without asking.
    #[arg(long, short = 'y')]
    yes: bool,
    /// Show the plan and change nothing. Exit status 0 also when there is something to do.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Leave rules that are not in the file, instead of deleting them.
    #[arg(long)]
    keep_others: bool,
    /// Compare only rules of this product; the file may hold no others.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
}

impl Apply {
    pub(crate) fn run(&self, service: &ServiceArgs) -> Outcome {
        let bytes = read_input(&self.file)?;
        let rules = self.rules(&bytes)?;
        let client = service.client()?;
        let plan = self.ask(&client, &rules, &[("DryRun", "true".to_owned())])?;
        let open = open_steps(&plan);
        if self.dry_run || open == 0 {
            return self.report(service, &plan);
        }
        if !service.json {
            show(&plan);
        }
        if !self.yes {
            self.confirm(open)?;
        }
        let id = ("PlanId", plain(&plan["PlanId"]));
        match self.ask(&client, &rules, &[id]) {
            Ok(done) if service.json => print_json(&done),
            Ok(_) => say!("{GOOD}applied{GOOD:#} {}", summary(&plan)),
            Err(Failure::Refused(why)) if why.starts_with("EventRulesChanged") => {
                return Err(self.changed(&client, &rules, &plan));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// The file as text, its oddities told. Faults are told by the service, which knows its own limits.
    fn rules(&self, bytes: &[u8]) -> Result<String, Failure> {
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::Unusable(format!("{}: {why}", self.file.display()))
        };
        let file = RuleFile::read(bytes, &Limits::NONE).map_err(|error| unusable(&error))?;
        warn(&file);
        String::from_utf8(bytes.to_vec()).map_err(|_| unusable(&"it is not UTF-8"))
    }

    fn ask(
        &self,
        client: &Client,
        rules: &str,
        more: &[(&'static str, String)],
    ) -> Result<Value, Failure> {
        let mut parameters = vec![("Rules", rules.to_owned())];
        if self.keep_others {
            parameters.push(("KeepOthers", "true".to_owned()));
        }
        parameters.extend(self.product.clone().map(|product| ("ProductName", product)));
        parameters.extend(more.iter().cloned());
        client.action("ApplyEventRules", &parameters)
    }

    fn report(&self, service: &ServiceArgs, plan: &Value) -> Outcome {
        if service.json {
            print_json(plan);
        } else {
            show(plan);
        }
        Ok(())
    }

    fn confirm(&self, open: u64) -> Outcome {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || self.file.as_os_str() == "-" {
            return Err(Failure::Refused(format!(
                "{open} rules would change, and there is no terminal to ask at; nothing was changed: give --yes to apply \
                 without asking, or --dry-run to look only"
            )));
        }
        // On stderr, as the question is no part of the output.
        let mut err = anstream::stderr();
        let _ = write!(err, "Apply? [y/N] ");
        let _ = err.flush();
        let mut answer = String::new();
        let read = stdin.lock().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES") {
            return Ok(());
        }
        Err(Failure::Refused("declined; nothing was changed".into()))
    }

    /// The refusal of a plan that is no longer the plan, with what is different.
    fn changed(&self, client: &Client, rules: &str, before: &Value) -> Failure {
        let mut told = String::from(
            "the rules were changed by somebody else since the plan was made, and nothing was applied",
        );
        if let Ok(now) = self.ask(client, rules, &[("DryRun", "true".to_owned())]) {
            for line in differences(before, &now) {
                told.push_str("\n  ");
                told.push_str(&line);
            }
        }
        told.push_str("\nlook at the new plan and apply again");
        Failure::Refused(told)
    }
}

/// Tells of what is sound, and hardly meant.
pub(super) fn warn(file: &RuleFile) {
    let mut warnings = file.warnings.clone();
    for rule in &file.rules {
        lint(rule, &mut warnings);
    }
    for warning in warnings {
        complain!("{CHANGED}warning:{CHANGED:#} {warning}");
    }
}

/// How many steps change something.
fn open_steps(plan: &Value) -> u64 {
    ["Create", "Replace", "Enable", "Disable", "Delete"]
        .iter()
        .filter_map(|kind| plan["Summary"][*kind].as_u64())
        .sum()
}

fn summary(plan: &Value) -> String {
    let kinds = [
        ("Create", "to create"),
        ("Replace", "to replace"),
        ("Enable", "to enable"),
        ("Disable", "to disable"),
        ("Delete", "to delete"),
        ("Unchanged", "unchanged"),
    ];
    let parts = kinds
        .into_iter()
        .filter(|(kind, _)| {
            plan["Summary"][*kind]
                .as_u64()
                .is_some_and(|count| count > 0)
        })
        .map(|(kind, words)| format!("{} {words}", plan["Summary"][kind]));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        "no rules".to_owned()
    } else {
        parts.join(", ")
    }
}

fn show(plan: &Value) {
    for step in plan["Steps"].as_array().into_iter().flatten() {
        let (mark, style, done) = match plain(&step["Action"]).as_str() {
            "Create" => ("+", GOOD, "create"),
            "Replace" => ("~", CHANGED, "replace"),
            "Enable" => ("~", CHANGED, "enable"),
            "Disable" => ("~", CHANGED, "disable"),
            "Delete" => ("-", BAD, "delete"),
            _ => continue,
        };
        say!(
            "{style}{mark} {done}{style:#} rule {HEADING}{}{HEADING:#} {DIM}({}){DIM:#}",
            plain(&step["RuleName"]),
            plain(&step["ProductName"])
        );
        for difference in step["Differences"].as_array().into_iter().flatten() {
            let field = plain(&difference["Field"]);
            let side = |side: &str| difference.get(side).map(|value| member(&field, value));
            match (side("From"), side("To")) {
                (Some(from), Some(to)) => {
                    say!("    {BAD}-{BAD:#} {field:<12} {from}");
                    say!("    {GOOD}+{GOOD:#} {field:<12} {to}");
                }
                (Some(only), None) | (None, Some(only)) => say!("      {field:<12} {only}"),
                (None, None) => {}
            }
        }
    }
    let nothing = if open_steps(plan) == 0 {
        "nothing to do: "
    } else {
        ""
    };
    say!("{HEADING}plan:{HEADING:#} {nothing}{}", summary(plan));
}

/// A member of a rule as a person reads it.
fn member(field: &str, value: &Value) -> String {
    match field {
        "EventTypes" => list_of(value, plain),
        "MatchRules" if value.is_null() => "every resource".to_owned(),
        "MatchRules" => resources(value),
        "Endpoints" => list_of(value, super::rule::endpoint),
        _ => plain(value),
    }
}

/// What is different between two plans, a line for each rule.
fn differences(before: &Value, now: &Value) -> Vec<String> {
    fn steps(plan: &Value) -> BTreeMap<(String, String), &Value> {
        let steps = plan["Steps"].as_array().into_iter().flatten();
        steps
            .map(|step| {
                (
                    (plain(&step["ProductName"]), plain(&step["RuleName"])),
                    step,
                )
            })
            .collect()
    }
    let (before, now) = (steps(before), steps(now));
    let none = json!({"Action": "nothing"});
    let mut lines = Vec::new();
    for key in before
        .keys()
        .chain(now.keys().filter(|key| !before.contains_key(*key)))
    {
        let was: &Value = before.get(key).copied().unwrap_or(&none);
        let is: &Value = now.get(key).copied().unwrap_or(&none);
        if was != is {
            let word = |step: &Value| plain(&step["Action"]).to_lowercase();
            let how = if was["Action"] == is["Action"] {
                "it is another rule now".to_owned()
            } else {
                format!("the plan had {}, it would now have {}", word(was), word(is))
            };
            lines.push(format!("rule {} ({}): {how}", key.1, key.0));
        }
    }
    lines
}

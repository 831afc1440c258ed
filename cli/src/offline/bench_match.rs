//! `carillon bench match`: how fast rules match here.

#[path = "../../../shared/core/benches/workload/mod.rs"]
mod workload;

use super::line::Line;
use super::rules::{load, read};
use crate::failure::Outcome;
use crate::output::{print_json, print_table, say};
use carillon_core::event::Product;
use carillon_core::rule::{Clause, Limits, ResourcePattern, Resources, Rule, RuleName};
use carillon_core::ruleset::{Hits, Overlap, RuleBook, RuleSet};
use clap::Args;
use serde_json::json;
use std::hint::black_box;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measure matching in this process: a rule file, or the built-in workload at growing numbers of rules.
///
/// The floor beside each figure: reading the event's JSON without matching it, and asking each rule in turn. "Conflict"
/// is the check whether one more rule would claim events of another, for newcomers like the rules that are there (most
/// conflict), and for near misses: newcomers that do not, though many rules begin as they do and many end as they do.
#[derive(Debug, Args)]
pub(crate) struct BenchMatchArgs {
    /// Rule file to measure with; events are made to fit its rules.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Largest number of rules of the built-in workload.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    max: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured at one number of rules.
struct Figures {
    rules: usize,
    covered: f64,
    match_ns: f64,
    json_ns: f64,
    parse_ns: f64,
    naive_ns: f64,
    load_us: f64,
    bytes: f64,
    conflict_us: f64,
    conflict_worst_us: f64,
    near_us: f64,
    near_worst_us: f64,
}

impl BenchMatchArgs {
    pub(crate) fn run(&self) -> Outcome {
        let mut all = Vec::new();
        if let Some(path) = &self.rules {
            drop(load(path, Overlap::Allow)?);
            let rules = read(path)?
                .rules
                .into_iter()
                .filter(|rule| rule.product == Product::Oss);
            let rules: Vec<_> = rules.map(Arc::new).collect();
            let near = (rules.clone(), crossed(&rules));
            all.push(measure(rules, near));
        } else {
            for count in [10, 1_000, 10_000, 100_000, 1_000_000]
                .into_iter()
                .filter(|count| *count <= self.max)
            {
                all.push(measure(
                    workload::rules(count),
                    workload::near_misses(count),
                ));
            }
        }
        if self.json {
            let rows: Vec<_> = all
                .iter()
                .map(|row| {
                    json!({
                        "rules": row.rules, "coveredShare": row.covered, "matchNs": row.match_ns, "matchFromJsonNs": row.json_ns,
                        "parseFloorNs": row.parse_ns, "naiveNs": row.naive_ns, "loadUsPerRule": row.load_us,
                        "indexBytesPerRule": row.bytes, "conflictMeanUs": row.conflict_us,
                        "conflictWorstUs": row.conflict_worst_us, "nearMissMeanUs": row.near_us,
                        "nearMissWorstUs": row.near_worst_us,
                    })
                })
                .collect();
            print_json(&json!({ "bench": "match", "figures": rows }));
        } else {
            let headings = [
                "rules",
                "covered",
                "match ns",
                "from json ns",
                "floor: json ns",
                "floor: each rule ns",
                "load us/rule",
                "index bytes/rule",
                "conflict us",
                "worst us",
                "near miss us",
                "worst us",
            ];
            let rows = all.iter().map(|row| {
                let mut cells = vec![
                    row.rules.to_string(),
                    format!("{:.0} %", 100.0 * row.covered),
                ];
                cells.extend(
                    [row.match_ns, row.json_ns, row.parse_ns, row.naive_ns]
                        .map(|ns| format!("{ns:.0}")),
                );
                cells.push(format!("{:.2}", row.load_us));
                cells.push(format!("{:.0}", row.bytes));
                let conflicts = [
                    row.conflict_us,
                    row.conflict_worst_us,
                    row.near_us,
                    row.near_worst_us,
                ];
                cells.extend(conflicts.map(|us| format!("{us:.1}")));
                cells
            });
            print_table(&headings, rows.collect());
            say!(
                "an event, best of several passes; ratios hold better than figures on a busy machine"
            );
        }
        Ok(())
    }
}

/// Time of each of `count` in nanoseconds: they are taken in chunks, each chunk counts with the best of several passes,
/// so that on a busy machine interruptions fall out.
fn best(count: usize, mut chunk: impl FnMut(Range<usize>)) -> f64 {
    const CHUNK: usize = 500;
    let chunks: Vec<Range<usize>> = (0..count)
        .step_by(CHUNK)
        .map(|from| from..(from + CHUNK).min(count))
        .collect();
    let mut times = vec![Duration::MAX; chunks.len()];
    let begun = Instant::now();
    for round in 0..20 {
        for (range, best) in chunks.iter().zip(&mut times) {
            let start = Instant::now();
            chunk(range.clone());
            *best = start.elapsed().min(*best);
        }
        if round >= 4 && begun.elapsed() > Duration::from_millis(800) {
            break;
        }
    }
    times.iter().sum::<Duration>().as_nanos() as f64 / count.max(1) as f64
}

fn measure(rules: Vec<Arc<Rule>>, near: (Vec<Arc<Rule>>, Vec<Rule>)) -> Figures {
    let events = workload::events(&rules, 50_000);
    let lines: Vec<String> = events.iter().map(workload::json).collect();
    let start = Instant::now();
    let mut set = RuleSet::build(rules.clone());
    let mut load = start.elapsed();
    for _ in 0..if rules.len() > 200_000 { 2 } else { 5 } {
        let start = Instant::now();
        set = RuleSet::build(rules.clone());
        load = load.min(start.elapsed());
    }

    let mut hits = Hits::new();
    let match_ns = best(events.len(), |range| {
        for (event_type, resource) in &events[range] {
            set.covering(event_type, resource, &mut hits);
            black_box(&hits);
        }
    });
    let mut covered = 0usize;
    for (event_type, resource) in &events {
        set.covering(event_type, resource, &mut hits);
        covered += usize::from(!hits.is_empty());
    }
    let mut resource = String::new();
    let json_ns = best(lines.len(), |range| {
        for line in &lines[range] {
            if let Ok(event) = Line::read(line.as_bytes(), &mut resource) {
                set.covering(&event.event_type, &resource, &mut hits);
                black_box(&hits);
            }
        }
    });
    let parse_ns = best(lines.len(), |range| {
        for line in &lines[range] {
            black_box(Line::read(line.as_bytes(), &mut resource).is_ok());
        }
    });
    let some = (2_000_000 / rules.len().max(1)).clamp(1, events.len());
    let naive_ns = best(some, |range| {
        for (event_type, resource) in &events[range] {
            let covers = |rule: &&Arc<Rule>| rule.enabled && rule.covers(event_type, resource);
            black_box(rules.iter().filter(covers).count());
        }
    });

    let step = (rules.len() / 2_000).max(1);
    let newcomers = rules.iter().step_by(step).map(|rule| {
        // Under a name that is not there: what a newcomer would ask for.
        let mut rule = Rule::clone(rule);
        rule.name = RuleName::parse("newcomer").unwrap_or(rule.name);
        rule
    });
    let (mean, worst) = conflicts(&rules, &newcomers.collect::<Vec<_>>(), false);
    let (near_mean, near_worst) = conflicts(&near.0, &near.1, true);
    let count = rules.len().max(1) as f64;
    Figures {
        rules: rules.len(),
        covered: covered as f64 / events.len() as f64,
        match_ns,
        json_ns,
        parse_ns,
        naive_ns,
        load_us: load.as_nanos() as f64 / 1_000.0 / count,
        bytes: set.index_bytes() as f64 / count,
        conflict_us: mean,
        conflict_worst_us: worst,
        near_us: near_mean,
        near_worst_us: near_worst,
    }
}

/// Newcomers that begin like one rule and end like another.
fn crossed(rules: &[Arc<Rule>]) -> Vec<Rule> {
    let ends = |rule: &Rule| match &rule.resources {
        Resources::AnyOf(all) => match all.first().and_then(|clauses| clauses.first()) {
            Some(Clause {
                pattern: ResourcePattern::Ends { prefix, suffix },
                ..
            }) => (prefix.clone(), suffix.clone()),
            Some(Clause {
                pattern: ResourcePattern::Name(name),
                ..
            }) => (name.clone(), String::new()),
            None => Default::default(),
        },
        Resources::All => Default::default(),
    };
    let count = rules.len().min(2_000);
    (0..count)
        .map(|number| {
            let at = number * rules.len() / count;
            let (prefix, _) = ends(&rules[at]);
            let (_, suffix) = ends(&rules[(at + rules.len() / 2) % rules.len()]);
            // The folder above: what begins like several.
            let folder = prefix
                .trim_end_matches('/')
                .rfind('/')
                .map_or(0, |at| at + 1);
            let mut rule = Rule::clone(&rules[at]);
            rule.name = RuleName::parse("newcomer").unwrap_or(rule.name);
            rule.resources = Resources::AnyOf(vec![vec![Clause {
                negated: false,
                pattern: ResourcePattern::Ends {
                    prefix: prefix[..folder].to_owned(),
                    suffix,
                },
            }]]);
            rule
        })
        .collect()
}

/// Mean and worst time of asking a book of the rules whether each newcomer would fit, in microseconds. With `fitting`,
/// only those that do fit count.
fn conflicts(rules: &[Arc<Rule>], newcomers: &[Rule], fitting: bool) -> (f64, f64) {
    let book = RuleBook::open_with(rules.iter().cloned(), Limits::NONE, Overlap::Refuse);
    if let Some(first) = newcomers.first() {
        // The index is made by the first check.
        let _ = book.check(first);
    }
    let (mut sum, mut worst, mut count) = (0.0, 0.0f64, 0);
    for rule in newcomers {
        let (mut best, mut fits) = (f64::MAX, false);
        for _ in 0..3 {
            let start = Instant::now();
            fits = black_box(book.check(rule).is_ok());
            best = best.min(start.elapsed().as_nanos() as f64 / 1_000.0);
        }
        if fitting && !fits {
            continue;
        }
        sum += best;
        worst = worst.max(best);
        count += 1;
    }
    (sum / f64::from(count.max(1)), worst)
}

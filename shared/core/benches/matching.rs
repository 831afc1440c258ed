//! Matching, loading and conflict checks over 10 to 1 000 000 rules, with four peers in the same run: asking each rule
//! in turn, `globset`, `regex::RegexSet`, and `aho-corasick` with a check of each candidate. All give the same answers.
//!
//! `cargo bench -p carillon-core --bench matching`; figures are an event (or a rule), best taken from the `fastest`
//! column on a busy machine. `CARILLON_BENCH_MAX` leaves out larger sets.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench is a program: it has an environment and a terminal"
)]

mod workload;

use carillon_core::ports::Records;
use carillon_core::rule::{Clause, Limits, ResourcePattern, Resources, Rule};
use carillon_core::ruleset::{Hits, Overlap, RuleBook, RuleSet, Snapshot};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

fn main() {
    divan::main();
}

const ALL: [usize; 5] = [10, 1_000, 10_000, 100_000, 1_000_000];
/// Where a peer's load or match would take minutes.
const SMALL: [usize; 3] = [10, 1_000, 10_000];
const SMALLEST: [usize; 2] = [10, 1_000];

/// Events of one pass.
const EVENTS: usize = 20_000;

fn too_large(count: usize) -> bool {
    let max = std::env::var("CARILLON_BENCH_MAX")
        .ok()
        .and_then(|text| text.parse().ok());
    max.is_some_and(|max: usize| count > max)
}

/// Runs `judge` over events, a window of them a sample: short enough that on a busy machine some samples are not
/// interrupted, and each window another one, so that large sets are met as cold as they are.
fn pass(
    bencher: Bencher<'_, '_>,
    rules: &[Arc<Rule>],
    window: usize,
    mut judge: impl FnMut(&str, &str) -> usize,
) {
    let events = workload::events(rules, EVENTS);
    let mut windows = events.chunks_exact(window).cycle();
    bencher.counter(ItemsCount::new(window)).bench_local(|| {
        let window = windows.next().expect("a cycle does not end");
        window
            .iter()
            .map(|(event_type, resource)| judge(event_type, resource))
            .sum::<usize>()
    });
}

#[divan::bench(args = ALL, sample_count = 400, sample_size = 1)]
fn match_one_by_one(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    let set = RuleSet::build(rules.clone());
    let mut hits = Hits::new();
    pass(bencher, &rules, 500, |event_type, resource| {
        set.covering(event_type, resource, &mut hits);
        hits.len()
    });
}

#[divan::bench(args = ALL, sample_count = 400, sample_size = 1)]
fn match_in_batches(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    let set = RuleSet::build(rules.clone());
    let events = workload::events(&rules, EVENTS);
    let mut windows = events.chunks_exact(500).cycle();
    let mut hits = Hits::new();
    bencher.counter(ItemsCount::new(500usize)).bench_local(|| {
        let mut sum = 0;
        let pairs = windows
            .next()
            .expect("a cycle does not end")
            .iter()
            .map(|(event_type, resource)| (event_type.as_str(), resource.as_str()));
        set.covering_batch(pairs, &mut hits, |_, hits| sum += hits.len());
        sum
    });
}

/// From the bytes of one line of the seeds' `events` array to the rules that cover it.
#[divan::bench(args = ALL, sample_count = 400, sample_size = 1)]
fn match_from_json(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    let set = RuleSet::build(rules.clone());
    let lines: Vec<String> = workload::events(&rules, EVENTS)
        .iter()
        .map(|(event_type, resource)| line(event_type, resource))
        .collect();
    let mut windows = lines.chunks_exact(500).cycle();
    let mut hits = Hits::new();
    let mut joined = String::new();
    bencher.counter(ItemsCount::new(500usize)).bench_local(|| {
        let mut sum = 0;
        for line in windows.next().expect("a cycle does not end") {
            let event: Line<'_> = serde_json::from_str(line).expect("a line of the workload");
            joined.clear();
            joined.push_str(&event.oss.bucket.name);
            joined.push('/');
            joined.push_str(&event.oss.object.key);
            set.covering(&event.event_name, &joined, &mut hits);
            sum += hits.len();
        }
        sum
    });
}

/// What stands in the rules table, decoded and made ready to match: a cold start's work.
#[divan::bench(args = SMALL, sample_count = 20)]
fn snapshot_decode(bencher: Bencher<'_, '_>, count: usize) {
    let rules = workload::rules(count);
    let rows: Vec<String> = rules
        .iter()
        .map(|rule| serde_json::to_string(&**rule).expect("a rule is JSON"))
        .collect();
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let rules = rows
            .iter()
            .map(|row| serde_json::from_str(row).expect("a rule of the workload"))
            .collect();
        Snapshot::build(Records {
            version: 1,
            rules,
            ..Records::default()
        })
    });
}

/// An event as the seeds print it, with the members a real one has.
fn line(event_type: &str, resource: &str) -> String {
    let (bucket, key) = resource.split_once('/').unwrap_or((resource, ""));
    serde_json::json!({
        "eventName": event_type, "eventSource": "acs:oss", "eventTime": "2026-11-22T08:00:00.000Z", "eventVersion": "1.0",
        "oss": {
            "bucket": {"arn": format!("acs:oss:cn-shenzhen:12345:{bucket}"), "name": bucket, "ownerIdentity": "12345"},
            "object": {"deltaSize": 1024, "eTag": "0CC175B9C0F1B6A831C399E269772661", "key": key, "size": 1024},
            "ossSchemaVersion": "1.0",
        },
        "region": "cn-shenzhen", "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"requestId": "5776514AF09A9E6542420001"}, "userIdentity": {"principalId": "12345"},
    })
    .to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    oss: LineOss<'a>,
}

#[derive(Deserialize)]
struct LineOss<'a> {
    #[serde(borrow)]
    bucket: LineBucket<'a>,
    #[serde(borrow)]
    object: LineObject<'a>,
}

#[derive(Deserialize)]
struct LineBucket<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct LineObject<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

#[divan::bench(args = ALL, sample_count = 5)]
fn load(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    println!(
        "{count} rules: {} index bytes a rule",
        RuleSet::build(rules.clone()).index_bytes() / count
    );
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| rules.clone())
        .bench_local_values(RuleSet::build);
}

/// One check a sample: `mean` and `slowest` are those of single checks (the latter with whatever interrupted it).
#[divan::bench(args = ALL, sample_count = 2_000, sample_size = 1)]
fn conflict_check(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    let book = RuleBook::open_with(rules.iter().cloned(), Limits::NONE, Overlap::Refuse);
    // Made of the same texts, under a name that is not there: what a newcomer would ask for.
    let mut asked = rules
        .iter()
        .step_by((count / 2_000).max(1))
        .map(|rule| {
            let mut rule = Rule::clone(rule);
            rule.name = carillon_core::rule::RuleName::parse("newcomer").expect("a rule name");
            rule
        })
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    // The index is made by the first check.
    let _ = book.check(&rules[0]);
    bencher
        .with_inputs(|| asked.next().expect("a cycle does not end"))
        .bench_local_refs(|rule| book.check(rule).is_ok());
}

/// The hard askers: none conflicts, and each has very many neighbours that nearly do.
#[divan::bench(args = ALL, sample_count = 2_000, sample_size = 1)]
fn conflict_check_of_near_misses(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let (rules, askers) = workload::near_misses(count);
    let book = RuleBook::open_with(rules, Limits::NONE, Overlap::Refuse);
    let _ = book.check(&askers[0]);
    let mut asked = askers.iter().cycle();
    bencher
        .with_inputs(|| asked.next().expect("a cycle does not end"))
        .bench_local_refs(|rule| assert!(book.check(rule).is_ok()));
}

#[divan::bench(args = SMALL, sample_count = 5)]
fn peer_naive(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    pass(bencher, &rules, 200, |event_type, resource| {
        rules
            .iter()
            .filter(|rule| rule.enabled && rule.covers(event_type, resource))
            .count()
    });
}

/// Every pattern, with the number of its rule.
fn patterns(rules: &[Arc<Rule>]) -> Vec<(usize, &ResourcePattern)> {
    let each = rules
        .iter()
        .enumerate()
        .flat_map(|(number, rule)| match &rule.resources {
            Resources::All => Vec::new(),
            Resources::AnyOf(all) => all
                .iter()
                .flatten()
                .map(|Clause { pattern, .. }| (number, pattern))
                .collect(),
        });
    each.collect()
}

/// How many rules the candidates come to, of those whose types cover the event.
fn rules_of(found: &mut Vec<usize>, rules: &[Arc<Rule>], event_type: &str) -> usize {
    found.retain(|number| rules[*number].event_types.cover(event_type));
    found.sort_unstable();
    found.dedup();
    found.len()
}

#[divan::bench(args = SMALLEST, sample_count = 5)]
fn peer_globset(bencher: Bencher<'_, '_>, count: usize) {
    let rules = workload::rules(count);
    let patterns = patterns(&rules);
    let mut builder = globset::GlobSetBuilder::new();
    for (_, pattern) in &patterns {
        let glob = match pattern {
            ResourcePattern::Name(name) => globset::escape(name),
            ResourcePattern::Ends { prefix, suffix } => {
                format!("{}*{}", globset::escape(prefix), globset::escape(suffix))
            }
        };
        builder.add(globset::Glob::new(&glob).expect("an escaped glob"));
    }
    let set = builder.build().expect("globs of the workload");
    let mut found = Vec::new();
    pass(bencher, &rules, 200, |event_type, resource| {
        set.matches_into(resource, &mut found);
        found
            .iter_mut()
            .for_each(|index| *index = patterns[*index].0);
        rules_of(&mut found, &rules, event_type)
    });
}

#[divan::bench(args = SMALLEST, sample_count = 5)]
fn peer_regex_set(bencher: Bencher<'_, '_>, count: usize) {
    let rules = workload::rules(count);
    let patterns = patterns(&rules);
    let texts = patterns.iter().map(|(_, pattern)| match pattern {
        ResourcePattern::Name(name) => format!("^{}$", regex::escape(name)),
        ResourcePattern::Ends { prefix, suffix } => {
            format!("(?s)^{}.*{}$", regex::escape(prefix), regex::escape(suffix))
        }
    });
    let set = regex::RegexSetBuilder::new(texts)
        .size_limit(1 << 30)
        .dfa_size_limit(1 << 28)
        .build()
        .expect("regexes of the workload");
    let mut found = Vec::new();
    pass(bencher, &rules, 200, |event_type, resource| {
        found.clear();
        found.extend(set.matches(resource).iter().map(|index| patterns[index].0));
        rules_of(&mut found, &rules, event_type)
    });
}

#[divan::bench(args = [10, 1_000, 10_000, 100_000], sample_count = 5)]
fn peer_aho_corasick(bencher: Bencher<'_, '_>, count: usize) {
    if too_large(count) {
        return;
    }
    let rules = workload::rules(count);
    let patterns = patterns(&rules);
    // One text of each pattern is enough to find it: the longer of its ends.
    let texts = patterns.iter().map(|(_, pattern)| match pattern {
        ResourcePattern::Name(name) => name.as_str(),
        ResourcePattern::Ends { prefix, suffix } if prefix.len() >= suffix.len() => prefix,
        ResourcePattern::Ends { suffix, .. } => suffix,
    });
    let finder = aho_corasick::AhoCorasick::builder()
        .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
        .build(texts)
        .expect("texts of the workload");
    let mut found = Vec::new();
    pass(bencher, &rules, 2_000, |event_type, resource| {
        found.clear();
        for candidate in finder.find_overlapping_iter(resource) {
            let (number, pattern) = patterns[candidate.pattern().as_usize()];
            if pattern.matches(resource) {
                found.push(number);
            }
        }
        black_box(rules_of(&mut found, &rules, event_type))
    });
}

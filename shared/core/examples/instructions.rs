//! Work for an instruction counter: builds RULES rules and matches EVENTS events.
//!
//! Counted twice, with different numbers of events, the difference is what the further events cost, whatever else the
//! machine does meanwhile: `make bench-instructions` does so under callgrind.

#![allow(clippy::print_stdout, reason = "it prints what it found")]
#![allow(clippy::disallowed_methods, reason = "a program has arguments")]

#[path = "../benches/workload/mod.rs"]
mod workload;

use carillon_core::ruleset::{Hits, RuleSet};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().expect("RULES and EVENTS are numbers"));
    let rules = arguments.next().expect("usage: instructions RULES EVENTS");
    let count = arguments.next().expect("usage: instructions RULES EVENTS");
    let rules = workload::rules(rules);
    let set = RuleSet::build(rules.clone());
    // The same events are made in every run: only how many are matched differs.
    let events = workload::events(&rules, 20_000);
    let mut hits = Hits::new();
    let mut covered = 0;
    for (event_type, resource) in events.iter().cycle().take(count) {
        set.covering(event_type, resource, &mut hits);
        covered += usize::from(!hits.is_empty());
    }
    println!("{covered} of {count} events covered");
}

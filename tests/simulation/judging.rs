//! The matcher against the naive model, over a million judgings.

use crate::fault::Weather;
use crate::model::told;
use crate::world::{Settings, State};
use carillon_core::ruleset::{Hits, RuleSet};
use std::sync::Arc;

#[test]
fn the_matcher_judges_as_the_seeds_read() {
    let mut hits = Hits::new();
    let (mut judged, mut by_default, mut by_nobody) = (0_u64, 0_u64, 0_u64);
    for seed in 0..2_000 {
        let settings = Settings {
            seed,
            events: 500,
            weather: Weather::calm(),
            plant: None,
            kill_at: None,
            trace: false,
        };
        let mut state = State::new(settings);
        state.first_rules();
        state.make_events();
        let records = state.newest();
        let set = RuleSet::build(records.rules.iter().cloned().map(Arc::new).collect());
        for event in &state.events {
            let mut fast: Vec<&str> = set
                .judge(&event.event_type, &event.resource, &mut hits)
                .map(|rule| rule.name.as_str())
                .collect();
            let mut naive: Vec<&str> = told(&records, &event.event_type, &event.resource)
                .iter()
                .map(|rule| rule.name.as_str())
                .collect();
            fast.sort_unstable();
            naive.sort_unstable();
            assert_eq!(
                fast, naive,
                "seed {seed}: {} on {}",
                event.event_type, event.resource
            );
            judged += 1;
            by_default += u64::from(naive == ["DefaultEnRule"]);
            by_nobody += u64::from(naive.is_empty());
        }
    }
    assert_eq!(judged, 1_000_000);
    assert!(
        by_default > 50_000 && by_nobody > 10_000,
        "the draw must reach every branch: {by_default}, {by_nobody}"
    );
}

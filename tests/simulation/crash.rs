//! One crash, everywhere: a small world without other faults is run once for every poll of every handler, and the handler
//! is killed at that poll.

use crate::fault::{Fault, Weather};
use crate::host::run;
use crate::world::Settings;

/// Endpoints fail now and then, so that retries and dead letters have their polls too; nothing else goes wrong.
fn settings(seed: u64, kill_at: Option<u64>) -> Settings {
    let weather = Weather::only(&[
        (Fault::HttpError, 1_500),
        (Fault::HttpGone, 500),
        (Fault::UserQueueDown, 1_000),
        (Fault::Poison, 1_000),
    ]);
    Settings {
        seed,
        events: 5,
        weather,
        plant: None,
        kill_at,
        trace: false,
    }
}

#[test]
fn a_handler_killed_at_any_poll_loses_nothing() {
    let mut points = 0;
    for seed in 0..4 {
        let polls = run(settings(seed, None)).totals.polls;
        for kill_at in 1..=polls {
            let report = run(settings(seed, Some(kill_at)));
            points += 1;
            assert!(
                report.violations.is_empty(),
                "killed at poll {kill_at} of seed {seed}: {}: {}",
                report.violations[0].property,
                report.violations[0].what
            );
        }
    }
    assert!(points > 200, "there was too little to kill: {points} polls");
    println!("{points} crash points, each before or after one effect of one handler");
}

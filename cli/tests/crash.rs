//! `carillon up` killed with SIGKILL under load, by the public doors alone: what a publisher was told is accepted arrives at
//! a consumer, and a kill repeats a notification at most once.
//!
//! `CARILLON_KILLS` sets the number of kills (12 by default; the long form is 500), `CARILLON_SEED` when they come.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "figures")]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::Service;
use support::doors::{Doors, Told, furnish};

/// Draws of a seed (splitmix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What one numbered event went through.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Kills before it was sent.
    after: u64,
    accepted: bool,
}

/// Sends all dead letters again; tells how many.
fn redrive(service: &Service) -> u64 {
    let metrics = service.metrics();
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("carillon_dead_letters "));
    let count = count.unwrap().parse().unwrap();
    if count > 0 {
        service.run(&["dead-letter", "redrive", "--all"]).ok();
    }
    count
}

#[test]
fn a_service_killed_at_any_moment_loses_nothing_and_repeats_little() {
    let (kills, seed) = (setting("CARILLON_KILLS", 12), setting("CARILLON_SEED", 1));
    let mut draws = Draws(seed);
    let data = tempfile::tempdir().unwrap();
    let next = AtomicU64::new(0);
    let sent = Mutex::new(BTreeMap::<u64, Sent>::new());
    // Arrivals by number, and the kills before the last of them.
    let arrived = Mutex::new(BTreeMap::<u64, (u32, u64)>::new());
    let (mut unanswered, mut busiest, mut letters) = (0, 0, 0);

    for kill in 0..=kills {
        let service = Service::start(data.path(), &[]);
        if kill == 0 {
            // What a consumer had in hand at a kill is there again after so many seconds.
            furnish(&service, 15);
        }
        let doors = Doors::of(&service.url);
        let consume = || {
            let mut seen = BTreeMap::new();
            let got = doors.consume("q", &mut seen);
            let mut arrived = arrived.lock().unwrap();
            for (number, times) in seen {
                let entry = arrived.entry(number).or_default();
                *entry = (entry.0 + times, kill);
            }
            got
        };
        if kill == kills {
            // The last life: everything that was accepted must come.
            let missing = || {
                let (sent, arrived) = (sent.lock().unwrap(), arrived.lock().unwrap());
                sent.iter()
                    .filter(|(number, sent)| sent.accepted && !arrived.contains_key(number))
                    .map(|(&number, _)| number)
                    .collect::<Vec<u64>>()
            };
            let consume_all = || {
                let mut idle_since = Instant::now();
                // Idle for as long as any lease lasts: nothing more will come, unless something failed and rests.
                while idle_since.elapsed() < Duration::from_secs(16)
                    || (idle_since.elapsed() < Duration::from_secs(100) && !missing().is_empty())
                {
                    match consume().unwrap() {
                        0 => std::thread::sleep(Duration::from_millis(20)),
                        _ => idle_since = Instant::now(),
                    }
                }
            };
            // A record that one kill after another met alone looks like the cause of them, and three such kills make a dead
            // letter: an operator redrives it.
            letters += redrive(&service);
            consume_all();
            letters += redrive(&service);
            if !missing().is_empty() {
                consume_all();
            }
            let lost = missing();
            assert!(
                lost.is_empty(),
                "seed {seed}: {} accepted events never came: {:?}",
                lost.len(),
                &lost[..lost.len().min(20)]
            );
            break;
        }
        let over = AtomicBool::new(false);
        let before = next.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..3)
                .map(|publisher| {
                    let (doors, sent, next, over) = (&doors, &sent, &next, &over);
                    scope.spawn(move || {
                        let mut nothing = 0;
                        while !over.load(Ordering::SeqCst) {
                            let count = 1 + (publisher + next.load(Ordering::SeqCst)) % 7;
                            let first = next.fetch_add(count, Ordering::SeqCst);
                            let numbers = first..first + count;
                            let note = |accepted| {
                                let after = kill;
                                sent.lock()
                                    .unwrap()
                                    .extend(numbers.clone().map(|n| (n, Sent { after, accepted })));
                            };
                            note(false);
                            match doors.publish(numbers.clone(), 100) {
                                Told::Accepted => note(true),
                                Told::Nothing => {
                                    nothing += 1;
                                    break;
                                }
                                Told::Refused(status, text) => {
                                    panic!("{status} {text} of a sound service")
                                }
                            }
                        }
                        nothing
                    })
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if consume().is_none() {
                        break;
                    }
                }
            });
            // Some kills come before the first answer, others in the middle of the work.
            std::thread::sleep(Duration::from_millis(draws.below(400)));
            service.kill();
            over.store(true, Ordering::SeqCst);
            unanswered += publishers
                .into_iter()
                .map(|publisher| publisher.join().unwrap())
                .sum::<u64>();
        });
        busiest = busiest.max(next.load(Ordering::SeqCst) - before);
    }

    let (sent, arrived) = (sent.into_inner().unwrap(), arrived.into_inner().unwrap());
    let accepted = sent.values().filter(|sent| sent.accepted).count();
    let (mut repeats, mut allowed, mut most) = (0, 0, 0);
    for (number, &(times, last)) in &arrived {
        let Some(sent) = sent.get(number) else {
            panic!("{number} was never sent, yet arrived");
        };
        // The kills that it lived through. Each can come between an effect and its acknowledgement.
        let lived_through = last - sent.after;
        assert!(
            u64::from(times) <= 1 + lived_through,
            "seed {seed}: {number} arrived {times} times over {lived_through} kills"
        );
        repeats += u64::from(times) - 1;
        allowed += lived_through;
        most = most.max(times);
    }
    println!(
        "{kills} kills (seed {seed}): {accepted} of {} events accepted ({unanswered} bodies got no answer), 0 lost; {repeats} \
         repeats of at most {allowed} that the kills excuse, no event more than {most} times; {letters} dead letters, \
         redriven; busiest life {busiest} events",
        sent.len()
    );
    assert!(
        letters <= kills,
        "seed {seed}: {letters} dead letters: records that were in hand beside others were buried"
    );
    assert!(accepted > 0, "nothing was accepted: too short a load");
}

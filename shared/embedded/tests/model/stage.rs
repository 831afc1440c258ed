//! Queues between stages.

use super::World;
use carillon_core::delivery::DeadLetterContent;
use carillon_core::ports::{
    DeadLetterAdmin as _, OutgoingMessage, Selection, Stage, StageSender as _,
};
use carillon_embedded::LeasedRecord;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LEASE: u64 = 10_000;
const MOST: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Send { group: Option<u8>, delay: u64 },
    Take { max: usize },
    Done { held: usize },
    Fail { held: usize, rest: u64 },
    GiveUp { held: usize },
    Advance { millis: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let group = prop_oneof![Just(None), (0u8..3).prop_map(Some)];
    let delay = prop_oneof![3 => Just(0u64), 1 => Just(2_000), 1 => Just(9_000)];
    let time = prop_oneof![
        Just(1u64),
        Just(1_999),
        Just(2_000),
        Just(5_000),
        Just(10_000)
    ];
    prop_oneof![
        8 => (group, delay).prop_map(|(group, delay)| Step::Send { group, delay }),
        5 => (1usize..5).prop_map(|max| Step::Take { max }),
        4 => (0usize..5).prop_map(|held| Step::Done { held }),
        4 => (0usize..5, prop_oneof![Just(0u64), Just(3_000)]).prop_map(|(held, rest)| Step::Fail { held, rest }),
        2 => (0usize..5).prop_map(|held| Step::GiveUp { held }),
        4 => time.prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Reopen),
    ]
}

/// A record as the model has it.
#[derive(Clone, Debug)]
struct Record {
    group: Option<u8>,
    /// Due from then on; all that a restart remembers of `free`.
    due: u64,
    /// Free from then on.
    free: u64,
    count: u32,
    /// What a restart remembers of `count`.
    noted: u32,
    /// Whether it was there when the store was opened: then every reception is remembered.
    old: bool,
    /// Whether the last thing known of it is a failure that was told, and what a restart remembers of that.
    told: bool,
    noted_told: bool,
    /// It was in hand at the end of the last process, and not for the first time: it comes alone.
    suspect: bool,
    /// Names the reception that holds it.
    holder: Option<usize>,
}

#[derive(Default)]
struct Model {
    now: u64,
    receptions: usize,
    /// By body.
    records: BTreeMap<String, Record>,
    /// Went to the dead letters.
    buried: BTreeSet<String>,
    /// Received too often and free again: the store buries such a record when its turn comes up, whenever that is.
    worn: BTreeSet<String>,
}

impl Model {
    /// Bodies of records that a take may give.
    fn free(&self) -> Vec<String> {
        self.records
            .iter()
            .filter(|(_, record)| record.free <= self.now && record.count < MOST)
            .map(|(body, _)| body.clone())
            .collect()
    }

    /// Whether the reception still counts.
    fn holds(&self, hand: &InHand) -> bool {
        let record = self.records.get(&hand.leased.record.body);
        record.is_some_and(|record| record.holder == Some(hand.reception))
    }

    /// Notes the records that a take buries when their turn comes up.
    fn note_worn(&mut self) {
        let now = self.now;
        let worn = self
            .records
            .iter()
            .filter(|(_, record)| record.free <= now && record.count >= MOST);
        self.worn.extend(worn.map(|(body, _)| body.clone()));
    }

    /// Holds the model against the dead letters of a store that was closed and opened again.
    fn reconcile(&mut self, letters: &BTreeSet<String>) -> Result<(), TestCaseError> {
        prop_assert!(self.buried.is_subset(letters), "a dead letter is missing");
        let known: BTreeSet<_> = self.buried.union(&self.worn).cloned().collect();
        prop_assert!(
            letters.is_subset(&known),
            "{:?} should not be dead",
            letters.difference(&known)
        );
        self.records.retain(|body, _| !letters.contains(body));
        Ok(())
    }
}

/// A record in hand, and which reception it is.
struct InHand {
    leased: LeasedRecord,
    reception: usize,
}

/// Takes what must be there. A store that finds nothing would wait for ever; after so many answered requests it will not
/// find anything any more, however slow the machine is.
async fn take(store: &carillon_embedded::Store, max: usize) -> Vec<LeasedRecord> {
    let taken = store.take_records(Stage::Deliver, max, Duration::from_millis(LEASE), MOST);
    tokio::pin!(taken);
    for _ in 0..100 {
        tokio::select! {
            biased;
            taken = &mut taken => return taken.unwrap(),
            _ = store.send(Stage::Ingest, Vec::new()) => {}
        }
    }
    panic!("there is a free record, and it was not given");
}

async fn play(
    world: &World,
    model: &mut Model,
    hands: &mut Vec<InHand>,
    number: usize,
    step: &Step,
) -> Result<(), TestCaseError> {
    let store = &world.store;
    match *step {
        Step::Send { group, delay } => {
            let body = format!("record {number:03}");
            let message = OutgoingMessage {
                delay: Duration::from_millis(delay),
                group: group.map(|group| format!("group {group}")),
                ..OutgoingMessage::new(body.clone())
            };
            store
                .send(Stage::Deliver, vec![message])
                .await
                .remove(0)
                .unwrap();
            let free = model.now + delay;
            model.records.insert(
                body,
                Record {
                    group,
                    due: free,
                    free,
                    count: 0,
                    noted: 0,
                    old: false,
                    told: false,
                    noted_told: false,
                    suspect: false,
                    holder: None,
                },
            );
        }
        Step::Take { max } => {
            model.note_worn();
            let (suspects, mut free): (Vec<_>, Vec<_>) = model
                .free()
                .into_iter()
                .partition(|body| model.records[body].suspect);
            let alone: BTreeSet<_> = hands
                .iter()
                .filter(|hand| hand.leased.is_alone() && model.holds(hand))
                .map(|hand| model.records[&hand.leased.record.body].group)
                .collect();
            let suspects: Vec<_> = suspects
                .into_iter()
                .filter(|body| !alone.contains(&model.records[body].group))
                .collect();
            if free.is_empty() && suspects.is_empty() {
                return Ok(());
            }
            let taken = take(store, max).await;
            if taken[0].is_alone() {
                prop_assert_eq!(taken.len(), 1);
                free = suspects;
            } else {
                prop_assert_eq!(taken.len(), free.len().min(max));
            }
            // In turn: no group gets a second record while another has waited in vain.
            let groups: BTreeSet<_> = free.iter().map(|body| model.records[body].group).collect();
            let served: BTreeSet<_> = taken
                .iter()
                .map(|leased| model.records[&leased.record.body].group)
                .collect();
            prop_assert_eq!(served.len(), groups.len().min(taken.len()));
            for leased in taken {
                let body = leased.record.body.clone();
                prop_assert!(free.contains(&body), "{} was not free", body);
                model.receptions += 1;
                let record = model.records.get_mut(&body).unwrap();
                record.count += 1;
                if record.old {
                    record.noted = record.count;
                    record.noted_told = false;
                }
                record.free = model.now + LEASE;
                record.holder = Some(model.receptions);
                prop_assert_eq!(leased.record.receive_count, record.count);
                hands.push(InHand {
                    leased,
                    reception: model.receptions,
                });
            }
        }
        Step::Done { held } => {
            if held < hands.len() {
                let InHand { leased, .. } = hands.remove(held);
                model.records.remove(&leased.record.body);
                store.settle(vec![leased.done()]);
            }
        }
        Step::Fail { held, rest } => {
            if held < hands.len() {
                let InHand { leased, reception } = hands.remove(held);
                let body = leased.record.body.clone();
                store.settle(vec![
                    leased.failed("no".to_owned(), Duration::from_millis(rest)),
                ]);
                if let Some(record) = model.records.get_mut(&body)
                    && record.holder == Some(reception)
                {
                    record.holder = None;
                    record.noted = record.count;
                    (record.told, record.noted_told) = (true, true);
                    record.suspect = false;
                    record.free = model.now + rest;
                    if record.count >= MOST {
                        model.records.remove(&body);
                        model.buried.insert(body);
                    }
                }
            }
        }
        Step::GiveUp { held } => {
            if held < hands.len() {
                let InHand { leased, reception } = hands.remove(held);
                let body = leased.record.body.clone();
                drop(leased);
                if let Some(record) = model.records.get_mut(&body)
                    && record.holder == Some(reception)
                {
                    record.holder = None;
                    record.count -= 1;
                    // What is written down of it must not say more.
                    if record.old || record.noted > 0 {
                        record.noted = record.count;
                        record.noted_told = record.told;
                    }
                    record.free = model.now;
                }
            }
        }
        Step::Advance { millis } => {
            world.advance(millis);
            model.now += millis;
            for record in model.records.values_mut() {
                if record.free <= model.now {
                    // The lease ran out: of it, only success still counts.
                    if record.holder.take().is_some() {
                        record.suspect = false;
                    }
                }
            }
        }
        Step::Reopen => {
            let page = store.list(&Selection::default(), None, 1000).await.unwrap();
            let bodies = page
                .items
                .into_iter()
                .map(|kept| match kept.letter.content {
                    DeadLetterContent::Record { body, .. } => body,
                    DeadLetterContent::Delivery(_) => unreachable!("only records were sent"),
                });
            model.reconcile(&bodies.collect())?;
            for record in model.records.values_mut() {
                record.holder = None;
                record.free = record.due;
                record.count = record.noted;
                record.told = record.noted_told;
                record.suspect = record.noted >= 2 && !record.told;
                record.old = true;
            }
        }
    }
    // Settling is not waited for; an answered request after it tells that it has happened.
    store.send(Stage::Ingest, Vec::new()).await;
    Ok(())
}

/// Plays a history on a store and on the model, and then takes all that is left.
fn history(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut model = Model::default();
    let mut hands = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if matches!(step, Step::Reopen) {
            world.reopen();
            // What was in hand belongs to the process that is gone.
            hands.clear();
        }
        world
            .runtime
            .block_on(play(&world, &mut model, &mut hands, number, step))?;
    }
    // Everything that is left comes, sooner or later, and nothing else does.
    world.reopen();
    hands.clear();
    world
        .runtime
        .block_on(play(&world, &mut model, &mut hands, 0, &Step::Reopen))?;
    world.advance(1_000_000);
    model.now += 1_000_000;
    model.note_worn();
    model.records.retain(|_, record| record.count < MOST);
    while !model.records.is_empty() {
        let taken = world.runtime.block_on(take(&world.store, 10));
        for leased in taken {
            prop_assert!(model.records.remove(&leased.record.body).is_some());
            world.store.settle(vec![leased.done()]);
        }
    }
    world.reopen();
    // All that can be left is worn out and waits for a turn to be buried.
    let left = world.store.stage_statistics(Stage::Deliver).records;
    prop_assert!(left <= model.worn.len() as u64, "{} records are left", left);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::cases(), max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_stage_does_what_its_model_does(steps in prop::collection::vec(step(), 1..60)) {
        history(&steps)?;
    }
}

/// Its last record leaves while the group still has a turn, and others come: the group must not have a second turn by it.
#[test]
fn a_group_that_empties_and_fills_has_one_turn() {
    let send = |group| Step::Send { group, delay: 0 };
    history(&[
        send(None),
        Step::Take { max: 1 },
        Step::Done { held: 0 },
        send(None),
        send(None),
        send(Some(1)),
        Step::Take { max: 2 },
    ])
    .unwrap();
}

/// What is worn out before the last take of all is left where it is.
#[test]
fn what_nobody_takes_any_more_is_not_buried() {
    history(&[
        Step::Send {
            group: None,
            delay: 0,
        },
        Step::Reopen,
        Step::Take { max: 1 },
        Step::Advance { millis: 10_000 },
        Step::Take { max: 1 },
        Step::Advance { millis: 10_000 },
        Step::Take { max: 1 },
    ])
    .unwrap();
}

/// What is written of a record that is given up is what is true of it then: also of what was never written before, as a
/// reception that ran out of time.
#[test]
fn giving_up_writes_down_what_came_before() {
    let take = Step::Take { max: 1 };
    history(&[
        Step::Send {
            group: None,
            delay: 0,
        },
        take.clone(),
        Step::Fail { held: 0, rest: 0 },
        take.clone(),
        Step::Advance { millis: 10_000 },
        take.clone(),
        Step::GiveUp { held: 1 },
        Step::Reopen,
        take,
    ])
    .unwrap();
}

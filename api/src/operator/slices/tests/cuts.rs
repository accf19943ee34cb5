//! Windows whose operator is snapshotted, in steps and by what has changed, and starts over.

use flott_core::{
    checkpoint::{Barrier, Behind, Overtaking, SnapshotKind},
    id::{CheckpointId, OperatorId, SubtaskIndex},
    key_group::{KeyGroupRange, MaxParallelism},
};
use flott_runtime::{
    snapshot::{Cut, Piece},
    state::{Extent, GroupSpace, KeyHash, Spread},
};

use super::*;

/// Key, window and sum.
type Sum = (u8, i64, i64, u64);

/// What a test does with an operator whose snapshots it takes.
#[derive(Debug, Clone)]
enum Cutting {
    Batch(Vec<(u8, i64)>),
    Watermark(i64),
    /// The next cut begins; what is left of the one before is given first.
    Begin(Extent),
    /// So many steps of it are given.
    Give(usize),
    /// The last cut is given up.
    Abandon,
    /// Everything starts over from the last cut that is whole.
    Restore,
}

/// Chains of cuts of one operator.
struct Cuts {
    space: GroupSpace,
    open: Option<(Cut, Vec<Piece>, Vec<Sum>)>,
    chain: Vec<Vec<Piece>>,
    /// What had been given out where the last of the chain was cut.
    given: Vec<Sum>,
    /// One was given up: the next has to be whole.
    torn: bool,
}

impl Cuts {
    fn new() -> Self {
        let max = MaxParallelism::try_from(8).unwrap();
        Self {
            space: GroupSpace { max, held: KeyGroupRange::all(max) },
            open: None,
            chain: Vec::new(),
            given: Vec::new(),
            torn: false,
        }
    }

    fn begin(&mut self, operator: &mut Sliced, extent: Extent, given: Vec<Sum>) {
        while self.give(operator) {}
        let whole = std::mem::take(&mut self.torn) || self.chain.is_empty();
        let extent = if whole { Extent::Whole } else { extent };
        let (mut cut, mut pieces) = (Cut::new(barrier(), extent, Default::default()), Vec::new());
        operator.snapshot(&mut StateSink::new(ID, self.space, STEP_BYTES, &mut cut, &mut pieces)).unwrap();
        self.open = Some((cut, pieces, given));
    }

    /// Gives a step; `false` if nothing is left.
    fn give(&mut self, operator: &mut Sliced) -> bool {
        let Some((cut, pieces, _)) = &mut self.open else { return false };
        let progress = operator.snapshot_more(&mut StateSink::new(ID, self.space, STEP_BYTES, cut, pieces)).unwrap();
        if progress != Progress::Done {
            return true;
        }
        let Some((cut, pieces, given)) = self.open.take() else { return false };
        if cut.extent == Extent::Whole {
            self.chain.clear();
        }
        self.chain.push(pieces);
        self.given = given;
        false
    }

    /// Gives up the cut that is not whole; `false` if there is none.
    fn abandon(&mut self) -> bool {
        let is_open = self.open.take().is_some();
        self.torn |= is_open;
        is_open
    }

    fn restored(&self) -> Restored {
        let restored = Restored::new(SubtaskIndex(0), 1);
        for (place, pieces) in self.chain.iter().enumerate() {
            let counts = |piece: &&Piece| piece.1.is_incremental() || place + 1 == self.chain.len();
            for (_, section, chunk) in pieces.iter().filter(counts) {
                restored.add(section.clone(), SubtaskIndex(0), chunk.clone());
            }
        }
        restored
    }
}

const fn barrier() -> Barrier {
    let (checkpoint, kind) = (CheckpointId(1), SnapshotKind::Checkpoint);
    Barrier { checkpoint, kind, behind: Behind::GoOn, overtaking: Overtaking::Never, full: false }
}

const ID: OperatorId = OperatorId::from_bytes([3; 16]);
/// A few entries.
const STEP_BYTES: usize = 16;

fn cuttings() -> impl Strategy<Value = Vec<Cutting>> {
    let record = (0u8..40, -20i64..20);
    let step = prop_oneof![
        6 => prop::collection::vec(record, 0..30).prop_map(Cutting::Batch),
        3 => (0i64..12).prop_map(Cutting::Watermark),
        2 => prop_oneof![1 => Just(Extent::Whole), 3 => Just(Extent::Changed)].prop_map(Cutting::Begin),
        2 => (1usize..4).prop_map(Cutting::Give),
        1 => Just(Cutting::Abandon),
        1 => Just(Cutting::Restore),
    ];
    prop::collection::vec(step, 0..80)
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1i64..30]
}

/// The results are those of a run in which nothing starts over, whenever cuts are taken and given.
fn check_cuts(shape: Shape, lateness: i64, cuttings: &[Cutting]) {
    let (mut operator, mut cuts, out) = (windows(shape, lateness), Cuts::new(), Kept::default());
    let (mut plain, plain_out) = (windows(shape, lateness), Kept::default());
    let mut results = Vec::new();
    // What came behind the last cut that is whole, and behind the one that is not.
    let (mut since, mut since_open): (Vec<Cutting>, Vec<Cutting>) = (Vec::new(), Vec::new());
    let (mut number, mut now) = (0, -30);
    let feed = |operator: &mut Sliced, step: &Cutting, out: &mut Kept<_>, number: &mut u64, cuts: Option<&mut Cuts>| {
        match step {
            Cutting::Batch(records) => {
                let mut batch = Batch::default();
                for (key, at) in records {
                    *number += 1;
                    batch.push_with((*key, *number), Some(*at));
                }
                if !batch.is_empty() {
                    operator.process(&mut batch, out).unwrap();
                }
            }
            Cutting::Watermark(at) => {
                operator.event(Event::Watermark(*at), out).unwrap();
                let mut cuts = cuts;
                while operator.resume(out).unwrap() == Drained::Some {
                    // As a task does that waits for credit.
                    if let Some(cuts) = &mut cuts {
                        cuts.give(operator);
                    }
                }
            }
            Cutting::Begin(_) | Cutting::Give(_) | Cutting::Abandon | Cutting::Restore => {}
        }
    };
    let records = |out: &Kept<Sum>| out.records().into_iter().map(|(record, _)| record);
    let mut numbers_at_cut = (0, 0);
    for cutting in cuttings {
        // Times are about the watermark.
        let step = match cutting {
            Cutting::Batch(all) => Cutting::Batch(all.iter().map(|(key, at)| (*key, now + at)).collect()),
            Cutting::Watermark(on) => {
                now += on;
                Cutting::Watermark(now)
            }
            other => other.clone(),
        };
        match &step {
            Cutting::Batch(_) | Cutting::Watermark(_) => {
                let before = number;
                feed(&mut plain, &step, &mut plain_out.clone(), &mut number, None);
                let mut again = before;
                feed(&mut operator, &step, &mut out.clone(), &mut again, Some(&mut cuts));
                results.extend(records(&out));
                since_open.push(step);
            }
            Cutting::Begin(extent) => {
                cuts.begin(&mut operator, *extent, results.clone());
                // The one before is whole by now.
                since = std::mem::take(&mut since_open);
                numbers_at_cut = (numbers_at_cut.1, number);
            }
            Cutting::Give(steps) => {
                (0..*steps).for_each(|_| _ = cuts.give(&mut operator));
            }
            Cutting::Abandon => {
                if cuts.abandon() {
                    // All that came behind the one before counts as before.
                    let behind = std::mem::take(&mut since_open);
                    since_open = std::mem::take(&mut since);
                    since_open.extend(behind);
                    numbers_at_cut.1 = numbers_at_cut.0;
                }
            }
            Cutting::Restore => {
                if cuts.chain.is_empty() {
                    continue;
                }
                let is_open = cuts.open.is_some();
                let (missed, mut from) = match is_open {
                    true => (since.iter().chain(&since_open).cloned().collect(), numbers_at_cut.0),
                    false => (since_open.clone(), numbers_at_cut.1),
                };
                operator = windows(shape, lateness);
                operator.restore(&cuts.restored()).unwrap();
                results.clone_from(&cuts.given);
                let mut fresh = Cuts::new();
                fresh.given.clone_from(&cuts.given);
                // A new attempt begins with a whole cut of what it has.
                fresh.begin(&mut operator, Extent::Whole, cuts.given.clone());
                while fresh.give(&mut operator) {}
                cuts = fresh;
                let missed: Vec<Cutting> = missed;
                for step in &missed {
                    feed(&mut operator, step, &mut out.clone(), &mut from, None);
                }
                results.extend(records(&out));
                (since, since_open) = (Vec::new(), missed);
                numbers_at_cut = match is_open {
                    true => (numbers_at_cut.0, numbers_at_cut.0),
                    false => (numbers_at_cut.1, numbers_at_cut.1),
                };
            }
        }
    }
    let end = Cutting::Watermark(i64::MAX);
    feed(&mut plain, &end, &mut plain_out.clone(), &mut number, None);
    feed(&mut operator, &end, &mut out.clone(), &mut number, Some(&mut cuts));
    results.extend(records(&out));
    // The operator does not hear of a cut that is given up before the next.
    cuts.begin(&mut operator, Extent::Changed, Vec::new());
    while cuts.give(&mut operator) {}
    let mut expected: Vec<_> = records(&plain_out).collect();
    expected.sort_unstable();
    results.sort_unstable();
    assert_eq!(results, expected);
    assert_eq!(operator.state_size().keys, 0, "nothing is kept longer than it is needed");
}

proptest! {
    #[test]
    fn tumbling_windows_come_through_cuts(cuttings in cuttings(), size in 1i64..15, offset in -20i64..20, lateness in lateness()) {
        check_cuts(Shape::tumbling(size, offset), lateness, &cuttings);
    }

    #[test]
    fn sliding_windows_come_through_cuts(cuttings in cuttings(), size in 1i64..30, slide in 1i64..12, offset in -20i64..20, lateness in lateness()) {
        check_cuts(Shape::sliding(size, slide, offset), lateness, &cuttings);
    }

    #[test]
    fn cumulating_windows_come_through_cuts(cuttings in cuttings(), step in 1i64..8, count in 1i64..6, offset in -20i64..20, lateness in lateness()) {
        check_cuts(Shape::cumulating(step, step * count, offset), lateness, &cuttings);
    }
}

/// Earlier builds stored all slices at once, with their numbers beside the keys.
#[test]
fn slices_that_were_stored_at_once_come_back() {
    let shape = Shape::sliding(20, 10, 0);
    let (mut cut, mut pieces) = (Cut::new(barrier(), Extent::Whole, Default::default()), Vec::new());
    let mut sink = StateSink::new(ID, Cuts::new().space, STEP_BYTES, &mut cut, &mut pieces);
    let mut history = super::super::history::History::default();
    history.add(0, 5u64, |sum, other| *sum += other);
    sink.own_elements("windows", Spread::Union, std::iter::once(shape)).unwrap();
    sink.own("slices", [(KeyHash::of(&1u8), (1i64, 1u8, 7u64))].into_iter()).unwrap();
    sink.own("closed slices", [(KeyHash::of(&2u8), (2u8, history))].into_iter()).unwrap();
    sink.watermark(10).unwrap();
    let restored = Restored::new(SubtaskIndex(0), 1);
    pieces.into_iter().for_each(|(_, section, chunk)| restored.add(section, SubtaskIndex(0), chunk));
    let (mut operator, mut out) = (windows(shape, 0), Kept::default());
    operator.restore(&restored).unwrap();
    assert!(restored.is_empty());
    operator.event(Event::Watermark(i64::MAX), &mut out).unwrap();
    while operator.resume(&mut out).unwrap() == Drained::Some {}
    let mut results: Vec<_> = out.records().into_iter().map(|(record, _)| record).collect();
    results.sort_unstable();
    assert_eq!(results, [(1, 0, 20, 7), (1, 10, 30, 7), (2, 0, 20, 5)]);
}

/// What had gone with the lateness of before does not come back with a longer one, though the chain of cuts still has it.
#[test]
fn slices_that_had_gone_stay_away_with_a_longer_lateness() {
    let shape = Shape::sliding(20, 10, 0);
    let (mut operator, mut cuts, mut out) = (windows(shape, 10), Cuts::new(), Kept::default());
    let push = |operator: &mut Sliced, at: i64, number: u64, out: &mut Kept<_>| {
        let mut batch = Batch::default();
        batch.push_with((1, number), Some(at));
        operator.process(&mut batch, out).unwrap();
    };
    let watermark = |operator: &mut Sliced, at: i64, out: &mut Kept<_>| {
        operator.event(Event::Watermark(at), out).unwrap();
        while operator.resume(out).unwrap() == Drained::Some {}
    };
    push(&mut operator, 5, 1, &mut out);
    watermark(&mut operator, 9, &mut out);
    cuts.begin(&mut operator, Extent::Whole, Vec::new());
    while cuts.give(&mut operator) {}
    push(&mut operator, 5, 2, &mut out);
    watermark(&mut operator, 40, &mut out);
    cuts.begin(&mut operator, Extent::Changed, Vec::new());
    while cuts.give(&mut operator) {}
    drop(out.records());
    let mut operator = windows(shape, 1_000);
    operator.restore(&cuts.restored()).unwrap();
    assert_eq!(operator.state_size().keys, 0);
    push(&mut operator, 5, 4, &mut out);
    let mut results: Vec<_> = out.records().into_iter().map(|(record, _)| record).collect();
    results.sort_unstable();
    assert_eq!(results, [(1, -10, 10, 4), (1, 0, 20, 4)], "they begin anew");
}

#[test]
fn windows_by_the_clock_do_not_begin_with_those_of_event_time() {
    let shape = Shape::tumbling(10, 0);
    let (mut operator, mut cuts) = (windows(shape, 0), Cuts::new());
    cuts.begin(&mut operator, Extent::Whole, Vec::new());
    while cuts.give(&mut operator) {}
    let spec = SliceSpec {
        shape,
        domain: TimeDomain::Processing,
        lateness_ms: 0,
        fold: summing(),
        emit: WithBounds,
        late: Late::default(),
    };
    let failure = of(spec, &task(Clock::System)).restore(&cuts.restored()).unwrap_err();
    assert!(failure.message.contains("by event time"), "{failure}");
}

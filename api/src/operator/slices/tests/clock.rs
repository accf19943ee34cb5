//! Windows by the clock, where clocks do not agree.

use flott_core::{
    checkpoint::{Barrier, Behind, Overtaking, SnapshotKind},
    id::{AttemptId, CheckpointId, OperatorId, SubtaskIndex},
};
use flott_runtime::{
    snapshot::{Cut, Piece, SnapshotPort, TaskSnapshots},
    state::{Extent, KeyHash},
    time::ManualClock,
};

use super::*;
use crate::operator::stand::Driver;

type Sum = (u8, i64, i64, u64);

/// A subtask of such windows, and its clock.
struct Subtask {
    driver: Driver<Sliced, Sum>,
    clock: ManualClock,
}

/// Nobody stores anything.
struct Nobody;

impl SnapshotPort for Nobody {
    fn begin(&self, _: AttemptId, _: Barrier) -> Extent {
        Extent::Whole
    }
    fn give(&self, _: AttemptId, _: Vec<Piece>) {}
    fn give_in_flight(&self, _: AttemptId, _: Vec<Piece>) {}
    fn has_room(&self, _: AttemptId) -> bool {
        true
    }
    fn store(&self, _: AttemptId, _: Cut) {}
}

const MAX_PARALLELISM: u32 = 8;

impl Subtask {
    /// Subtask `index` of `subtasks`, with what there was `from`.
    fn new(shape: Shape, (index, subtasks): (u32, u32), now: i64, from: Option<&Restored>) -> Self {
        let clock = ManualClock::at(now);
        let mut task = task(Clock::Manual(clock.clone()));
        let info = Arc::get_mut(&mut task).unwrap();
        let index = SubtaskIndex(index);
        info.snapshots = TaskSnapshots::new(index, subtasks, MAX_PARALLELISM, &Default::default(), Arc::new(Nobody));
        let fold = summing();
        let spec = SliceSpec {
            shape,
            domain: TimeDomain::Processing,
            lateness_ms: 0,
            fold,
            emit: WithBounds,
            late: Late::default(),
        };
        let mut operator = of(spec, &task);
        if let Some(from) = from {
            operator.restore(from).unwrap();
            assert!(from.is_empty(), "{from:?}");
        }
        let mut subtask = Self { driver: Driver::open(operator, &task), clock };
        subtask.driver.settle().unwrap();
        subtask
    }

    fn holds(&self, key: u8) -> bool {
        let groups = self.driver.task().snapshots.groups();
        groups.held.contains(KeyHash::of(&key).group(groups.max))
    }

    fn do_all(&mut self, steps: &[ByClock]) {
        for step in steps {
            match step {
                ByClock::Record(key, number) if self.holds(*key) => {
                    self.driver.batch([((*key, *number), None)]).unwrap();
                }
                ByClock::Record(..) => {}
                ByClock::Now(now) => {
                    self.clock.set(*now);
                    self.driver.settle().unwrap();
                }
            }
        }
    }

    /// Adds what it remembers to `restored`.
    fn store(&mut self, restored: &Restored, index: u32) {
        let barrier = Barrier {
            checkpoint: CheckpointId(1),
            kind: SnapshotKind::Checkpoint,
            behind: Behind::GoOn,
            overtaking: Overtaking::Never,
            full: false,
        };
        let groups = self.driver.task().snapshots.groups();
        let (mut cut, mut pieces) = (Cut::new(barrier, Extent::Whole, Default::default()), Vec::new());
        let mut sink = StateSink::new(OperatorId::from_bytes([3; 16]), groups, 1 << 10, &mut cut, &mut pieces);
        let operator = &mut self.driver.operator;
        operator.snapshot(&mut sink).unwrap();
        while operator.snapshot_more(&mut sink).unwrap() != Progress::Done {}
        pieces.into_iter().for_each(|(_, section, chunk)| restored.add(section, SubtaskIndex(index), chunk));
    }

    fn results(&self) -> Vec<Sum> {
        self.driver.out.records().into_iter().map(|(sum, _)| sum).collect()
    }
}

/// What happens to all subtasks; each takes the records of its keys.
#[derive(Debug, Clone)]
enum ByClock {
    Record(u8, u64),
    Now(i64),
}

/// Steps from `now` on; time goes on by as much as they say.
fn placed(steps: &[ByClock], now: &mut i64) -> Vec<ByClock> {
    let place = |step: &ByClock| match step {
        ByClock::Now(on) => {
            *now += on;
            ByClock::Now(*now)
        }
        record => record.clone(),
    };
    steps.iter().map(place).collect()
}

/// Sums of the records of such steps, by the windows that each is in when it comes.
fn summed(
    steps: &[ByClock],
    mut now: i64,
    holds: impl Fn(u8) -> bool,
    windows: &dyn Fn(i64) -> Vec<(i64, i64)>,
    sums: &mut BTreeMap<(u8, i64, i64), u64>,
) {
    for step in steps {
        match step {
            ByClock::Now(then) => now = *then,
            ByClock::Record(key, number) if holds(*key) => {
                for (start, end) in windows(now) {
                    *sums.entry((*key, start, end)).or_default() += number;
                }
            }
            ByClock::Record(..) => {}
        }
    }
}

fn by_clock() -> impl Strategy<Value = Vec<ByClock>> {
    let step = prop_oneof![
        3 => (0u8..40, 1u64..100).prop_map(|(key, number)| ByClock::Record(key, number)),
        1 => (0i64..15).prop_map(ByClock::Now),
    ];
    prop::collection::vec(step, 0..40)
}

/// Two subtasks come to a barrier, and one that takes over from them comes to another, each at its time; all windows give
/// their results once.
fn check(shape: Shape, windows: &dyn Fn(i64) -> Vec<(i64, i64)>, steps: &[Vec<ByClock>; 4]) {
    let (restored, mut results, mut sums) = (Restored::new(SubtaskIndex(0), 1), Vec::new(), BTreeMap::new());
    let mut now = 0;
    for (index, steps) in (0..).zip(&steps[..2]) {
        let mut own = 0;
        let steps = placed(steps, &mut own);
        let mut subtask = Subtask::new(shape, (index, 2), 0, None);
        subtask.do_all(&steps);
        summed(&steps, 0, |key| subtask.holds(key), windows, &mut sums);
        subtask.store(&restored, index);
        results.extend(subtask.results());
        now = now.max(own);
    }
    let mut subtask = Subtask::new(shape, (0, 1), now, Some(&restored));
    for (number, steps) in steps[2..].iter().enumerate() {
        if number > 0 {
            let restored = Restored::new(SubtaskIndex(0), 1);
            subtask.store(&restored, 0);
            results.extend(subtask.results());
            subtask = Subtask::new(shape, (0, 1), now, Some(&restored));
        }
        let before = now;
        let steps = placed(steps, &mut now);
        subtask.do_all(&steps);
        summed(&steps, before, |_| true, windows, &mut sums);
    }
    subtask.driver.end().unwrap();
    results.extend(subtask.results());
    results.sort_unstable();
    let expected: Vec<_> = sums.into_iter().map(|((key, start, end), sum)| (key, start, end, sum)).collect();
    assert_eq!(results, expected);
    assert_eq!(subtask.driver.operator.kept(), 0, "something is kept longer than its window");
}

proptest! {
    #[test]
    fn windows_are_taken_over_from_subtasks_that_are_differently_far(
        steps in [by_clock(), by_clock(), by_clock(), by_clock()], size in 1i64..30, slide in 1i64..12, many in 1i64..5,
    ) {
        check(Shape::tumbling(size, 0), &sliding(size, size, 0), &steps);
        check(Shape::sliding(size, slide, 0), &sliding(size, slide, 0), &steps);
        let max = slide * many;
        let cumulating = |at: i64| {
            let begin = at.div_euclid(max) * max;
            (1..=many).map(|n| (begin, begin + n * slide)).filter(|(_, end)| *end > at).collect()
        };
        check(Shape::cumulating(slide, max, 0), &cumulating, &steps);
    }
}

#[test]
fn time_stands_still_where_the_clock_is_behind() {
    let shape = Shape::sliding(10, 5, 0);
    let mut subtask = Subtask::new(shape, (0, 1), 6, None);
    subtask.do_all(&[ByClock::Record(1, 1), ByClock::Now(10)]);
    assert_eq!(subtask.results(), [(1, 0, 10, 1)]);
    let restored = Restored::new(SubtaskIndex(0), 1);
    subtask.store(&restored, 0);
    // Records count as of the end of the window that was given out.
    let mut subtask = Subtask::new(shape, (0, 1), 2, Some(&restored));
    subtask.do_all(&[ByClock::Record(1, 2), ByClock::Record(2, 4), ByClock::Now(9), ByClock::Record(1, 8)]);
    assert_eq!(subtask.results(), []);
    subtask.do_all(&[ByClock::Now(15)]);
    let mut results = subtask.results();
    results.sort_unstable();
    assert_eq!(results, [(1, 5, 15, 11), (2, 5, 15, 4)]);
    subtask.do_all(&[ByClock::Now(20)]);
    let mut results = subtask.results();
    results.sort_unstable();
    assert_eq!(results, [(1, 10, 20, 10), (2, 10, 20, 4)]);
}

//! What two inputs say together: watermarks, idleness, timers.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use flott::{
    Clock, Collector, FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState,
    ManualClock, Stream, TimeDomain, Timer, WatermarkStrategy,
};

use super::{
    check, env,
    script::{Cue, script},
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record's time, and a timer that it sets.
type Row = (i64, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saw {
    Record(i64),
    Timer(i64),
}

/// Tells of what it sees; each record sets a timer.
#[derive(Clone)]
struct Witness(Sender<Saw>);

impl Witness {
    fn record(&self, (at, timer): Row, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        ctx.register_event_time_timer(timer)?;
        Ok(self.0.send(Saw::Record(at))?)
    }

    fn timer(&self, timer: Timer, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        assert!(ctx.watermark() >= timer.at);
        ctx.emit(timer.at);
        Ok(self.0.send(Saw::Timer(timer.at))?)
    }
}

impl KeyedProcessFunction for Witness {
    type Key = u8;
    type In = Row;
    type Out = i64;

    fn process(&mut self, record: Row, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        self.record(record, ctx)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        self.timer(timer, ctx)
    }
}

impl KeyedCoProcessFunction for Witness {
    type Key = u8;
    type Left = Row;
    type Right = Row;
    type Out = i64;

    fn process_left(&mut self, record: Row, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        self.record(record, ctx)
    }

    fn process_right(&mut self, record: Row, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        self.record(record, ctx)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        self.timer(timer, ctx)
    }
}

/// A job that reads two scripts, and what its function sees. The watermark of a script is one behind its last record.
struct Stage {
    clock: ManualClock,
    left: Cue,
    right: Cue,
    saw: Receiver<Saw>,
    job: thread::JoinHandle<Vec<i64>>,
}

/// After so much processing time without records the left side is idle; the right one never is.
const IDLE: Duration = Duration::from_millis(100);

impl Stage {
    fn set(
        left: Vec<Vec<Row>>,
        right: Vec<Vec<Row>>,
        right_idles: bool,
        build: impl Fn(&Stream<Row>, &Stream<Row>, Witness) -> Stream<i64>,
    ) -> Self {
        let clock = ManualClock::at(0);
        let env = env(1);
        env.set_clock(Clock::Manual(clock.clone()));
        let strategy = || WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|row: &Row| row.0);
        let (left, left_cue) = script(&env, left);
        let (right, right_cue) = script(&env, right);
        let left = left.assign_timestamps_and_watermarks(strategy().with_idleness(IDLE));
        let right_strategy = if right_idles { strategy().with_idleness(2 * IDLE) } else { strategy() };
        let right = right.assign_timestamps_and_watermarks(right_strategy);
        let (sender, saw) = channel();
        let timers = build(&left, &right, Witness(sender)).collect();
        let job = thread::spawn(move || env.execute("test").unwrap().collected(&timers).unwrap());
        Self { clock, left: left_cue, right: right_cue, saw, job }
    }

    /// The next things that are seen, whatever their order.
    #[track_caller]
    fn expect(&self, expected: &[Saw]) {
        self.expect_after(None, expected);
    }

    /// The same of what comes as the clock moves.
    #[track_caller]
    fn expect_in_time(&self, expected: &[Saw]) {
        let first = (0..10_000).find_map(|_| {
            self.clock.advance(IDLE / 4);
            self.saw.recv_timeout(Duration::from_millis(5)).ok()
        });
        self.expect_after(first, expected);
    }

    #[track_caller]
    fn expect_after(&self, first: Option<Saw>, expected: &[Saw]) {
        let mut seen: Vec<_> = first.into_iter().collect();
        seen.extend((seen.len()..expected.len()).map(|_| self.saw.recv_timeout(PATIENCE).unwrap()));
        for one in expected {
            let found = seen.iter().position(|other| other == one);
            let found = found.unwrap_or_else(|| panic!("{one:?} is not among {seen:?}, when {expected:?} were due"));
            seen.remove(found);
        }
    }

    fn end(self, timers: &[i64]) {
        self.left.give(1);
        self.right.give(1);
        assert_eq!(self.job.join().unwrap(), timers);
    }
}

fn connected(left: &Stream<Row>, right: &Stream<Row>, witness: Witness) -> Stream<i64> {
    left.key_by(|_| 0).connect(&right.key_by(|_| 0)).process(witness)
}

fn united(left: &Stream<Row>, right: &Stream<Row>, witness: Witness) -> Stream<i64> {
    left.union([right]).key_by(|_| 0).process(witness)
}

/// Timers of an operator that reads both streams wait for the slower, unless that is idle.
#[track_caller]
fn check_that_the_slower_counts(build: impl Fn(&Stream<Row>, &Stream<Row>, Witness) -> Stream<i64>) {
    use Saw::{Record, Timer};
    let left = vec![vec![(10, 50)], vec![(200, 250)], vec![(201, 150)]];
    let right = vec![vec![(100, 60)], vec![(101, 70)], vec![(300, 80)], vec![(301, 320)]];
    let stage = Stage::set(left, right, false, build);
    stage.left.give(1);
    stage.expect(&[Record(10)]);
    // When the second record of the right side has come, so has the watermark 99 behind the first. The left one says 9.
    stage.right.give(1);
    stage.expect(&[Record(100)]);
    stage.right.give(1);
    stage.expect(&[Record(101)]);
    assert!(stage.saw.try_recv().is_err());
    // Idle: now only the right side counts.
    stage.expect_in_time(&[Timer(50), Timer(60), Timer(70)]);
    // The left side is there again, and ahead: it is the right one that holds up.
    stage.left.give(1);
    stage.expect(&[Record(200)]);
    stage.left.give(1);
    stage.expect(&[Record(201)]);
    assert!(stage.saw.try_recv().is_err());
    // The right side goes on, and it is the left one again, with 200.
    stage.right.give(1);
    stage.expect(&[Record(300), Timer(80), Timer(150)]);
    stage.right.give(1);
    stage.expect(&[Record(301)]);
    assert!(stage.saw.try_recv().is_err());
    // An end holds nobody up; the right side says 300.
    stage.left.give(1);
    stage.expect(&[Timer(250)]);
    assert!(stage.saw.try_recv().is_err());
    stage.right.give(1);
    stage.expect(&[Timer(320)]);
    stage.end(&[50, 60, 70, 80, 150, 250, 320]);
}

#[test]
fn timers_of_two_inputs_wait_for_the_slower_unless_it_is_idle() {
    check_that_the_slower_counts(connected);
}

#[test]
fn timers_behind_a_union_wait_for_the_slowest_stream_unless_it_is_idle() {
    check_that_the_slower_counts(united);
}

/// When both streams are idle, time has come as far as the one that is ahead has said.
#[track_caller]
fn check_that_all_idle(build: impl Fn(&Stream<Row>, &Stream<Row>, Witness) -> Stream<i64>) {
    use Saw::{Record, Timer};
    let stage = Stage::set(vec![vec![(100, 90)], vec![(110, 105)]], vec![vec![(10, 20)]], true, build);
    stage.left.give(1);
    stage.right.give(1);
    stage.expect(&[Record(100), Record(10)]);
    stage.expect_in_time(&[Timer(20), Timer(90)]);
    // Both said 99 together; the right one does not count before it is there again.
    stage.left.give(1);
    stage.expect(&[Record(110), Timer(105)]);
    stage.end(&[20, 90, 105]);
}

#[test]
fn timers_of_two_inputs_fire_when_both_are_idle() {
    check_that_all_idle(connected);
}

#[test]
fn timers_behind_a_union_fire_when_all_streams_are_idle() {
    check_that_all_idle(united);
}

/// Gathers what both sides say of a key until a moment after the first of it.
#[derive(Clone)]
struct Gather {
    saw: Sender<Saw>,
    numbers: ListState<i64>,
}

impl KeyedCoProcessFunction for Gather {
    type Key = i64;
    type Left = Row;
    type Right = Row;
    type Out = (i64, Vec<i64>);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, i64>) -> FunctionResult {
        self.numbers = ctx.list("numbers")?;
        Ok(())
    }

    fn process_left(&mut self, (key, number): Row, ctx: &mut KeyedContext<'_, i64, Self::Out>) -> FunctionResult {
        if self.numbers.get(ctx)?.is_empty() {
            let at = ctx.processing_time() + 10;
            assert!(ctx.register_processing_time_timer(at)?);
            assert!(!ctx.register_processing_time_timer(at)?);
            // A timer that is taken back is none.
            assert!(ctx.register_processing_time_timer(at + 1)? && ctx.delete_processing_time_timer(at + 1)?);
        }
        self.numbers.add(ctx, number)?;
        Ok(self.saw.send(Saw::Record(key))?)
    }

    fn process_right(&mut self, row: Row, ctx: &mut KeyedContext<'_, i64, Self::Out>) -> FunctionResult {
        self.process_left(row, ctx)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, i64, Self::Out>) -> FunctionResult {
        assert_eq!(timer.domain, TimeDomain::Processing);
        let gathered = (*ctx.key()?, self.numbers.take(ctx)?);
        ctx.emit(gathered);
        Ok(self.saw.send(Saw::Timer(timer.at))?)
    }
}

#[test]
fn both_inputs_share_timers_in_processing_time() {
    use Saw::{Record, Timer};
    let clock = ManualClock::at(0);
    let env = env(1);
    env.set_clock(Clock::Manual(clock.clone()));
    let (left, left_cue) = script(&env, vec![vec![(1, 1), (2, 2)], vec![(3, 6)]]);
    let (right, right_cue) = script(&env, vec![vec![(1, 3)], vec![(2, 4), (1, 5)]]);
    let (sender, saw) = channel();
    let gather = Gather { saw: sender, numbers: ListState::default() };
    let gathered = left.key_by(|row| row.0).connect(&right.key_by(|row| row.0)).process(gather).collect();
    let job = thread::spawn(move || env.execute("test").unwrap().collected(&gathered).unwrap());
    let expect = |expected: &[Saw]| {
        let seen: Vec<_> = expected.iter().map(|_| saw.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(seen, expected);
    };
    left_cue.give(1);
    expect(&[Record(1), Record(2)]);
    right_cue.give(1);
    expect(&[Record(1)]);
    // Nothing is to come, and the clock alone wakes the task.
    clock.set(15);
    expect(&[Timer(10), Timer(10)]);
    right_cue.give(1);
    expect(&[Record(2), Record(1)]);
    left_cue.give(1);
    expect(&[Record(3)]);
    // What is set when the inputs end fires then.
    left_cue.give(1);
    right_cue.give(1);
    expect(&[Timer(25), Timer(25), Timer(25)]);
    let mut gathered = job.join().unwrap();
    gathered.sort();
    assert_eq!(gathered, [(1, vec![1, 3]), (1, vec![5]), (2, vec![2]), (2, vec![4]), (3, vec![6])]);
}

#[test]
fn a_function_for_each_side_may_give_any_number_of_records() {
    let expected: Vec<u64> =
        (0..100u64).flat_map(|n| 0..n % 4).chain((0..100).flat_map(|n| vec![n + 1_000; 2])).collect();
    check(
        |env| {
            let texts = env.sequence(0, 99).map(|n| n.to_string());
            env.sequence(0, 99).connect(&texts).flat_map(
                |n, out: &mut Collector<'_, u64>| out.emit_all(0..n % 4),
                |text: String, out: &mut Collector<'_, u64>| {
                    if let Ok(n) = text.parse::<u64>() {
                        out.emit_all([n + 1_000; 2]);
                    }
                },
            )
        },
        expected.clone(),
    );
    check(
        |env| {
            let texts = env.sequence(0, 99).map(|n| n.to_string()).key_by(|text| text.len() as u64);
            env.sequence(0, 99).key_by(|n| *n).connect(&texts).flat_map(
                |n, out: &mut Collector<'_, u64>| out.emit_all(0..n % 4),
                |text: String, out: &mut Collector<'_, u64>| {
                    if let Ok(n) = text.parse::<u64>() {
                        out.emit_all([n + 1_000; 2]);
                    }
                },
            )
        },
        expected,
    );
}

//! Sources of which one has nothing to say, by a clock that the test moves.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use flott::{
    Clock, FunctionResult, KeyedContext, KeyedProcessFunction, ManualClock, Timer, WatermarkGenerator,
    WatermarkStrategy,
};

use super::{env, splits::Script};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, PartialEq)]
enum Seen {
    /// A record came.
    Read(i64),
    /// A record came too late.
    Late(i64),
    /// All up to a record has come.
    Complete(i64),
}

use Seen::{Complete, Late, Read};

/// Says what it sees, and when the time of each record has come.
#[derive(Clone)]
struct Watch(Sender<Seen>);

impl KeyedProcessFunction for Watch {
    type Key = u64;
    type In = i64;
    type Out = ();

    fn process(&mut self, at: i64, ctx: &mut KeyedContext<'_, u64, ()>) -> FunctionResult {
        if at <= ctx.watermark() {
            return Ok(self.0.send(Late(at))?);
        }
        self.0.send(Read(at))?;
        ctx.register_event_time_timer(at)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, _: &mut KeyedContext<'_, u64, ()>) -> FunctionResult {
        Ok(self.0.send(Complete(timer.at))?)
    }
}

fn strategy() -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at: &i64| *at)
}

/// Two sources of one split each that flow together.
struct Two {
    busy: Script,
    silent: Script,
    clock: ManualClock,
    seen: Receiver<Seen>,
    job: JoinHandle<()>,
}

impl Two {
    fn start(busy: WatermarkStrategy<i64>, silent: WatermarkStrategy<i64>) -> Self {
        let (scripts, clock) = ([Script::new(1), Script::new(1)], ManualClock::at(0));
        let (watch, seen) = channel();
        let env = env(1);
        env.set_clock(Clock::Manual(clock.clone()));
        let busy = env.from_source_with_watermarks(scripts[0].clone(), busy, "busy");
        let silent = env.from_source_with_watermarks(scripts[1].clone(), silent, "silent");
        busy.union([&silent]).key_by(|_| 0).process(Watch(watch)).discard();
        let job = thread::spawn(move || {
            env.execute("test").unwrap();
        });
        let [busy, silent] = scripts;
        Self { busy, silent, clock, seen, job }
    }

    #[track_caller]
    fn check(&self, expected: &[Seen]) {
        for expected in expected {
            assert_eq!(self.seen.recv_timeout(PATIENCE).as_ref(), Ok(expected));
        }
    }

    /// Moves the clock until something is seen, which is this.
    #[track_caller]
    fn check_in_time(&self, expected: &[Seen]) {
        for _ in 0..10_000 {
            self.clock.advance(Duration::from_millis(100));
            if let Ok(seen) = self.seen.recv_timeout(Duration::from_millis(5)) {
                assert_eq!(&seen, &expected[0]);
                return self.check(&expected[1..]);
            }
        }
        panic!("nothing happens");
    }

    #[track_caller]
    fn end(self, expected: &[Seen]) {
        self.busy.end();
        self.silent.end();
        self.job.join().unwrap();
        assert_eq!(self.seen.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_source_without_records_holds_time_back() {
    let two = Two::start(strategy(), strategy());
    two.busy.give(0, vec![10, 20]);
    two.check(&[Read(10), Read(20)]);
    two.clock.advance(Duration::from_secs(24 * 60 * 60));
    two.busy.give(0, vec![30]);
    two.check(&[Read(30)]);
    // Nothing is complete before the other has said something.
    two.silent.give(0, vec![15]);
    two.check(&[Read(15), Complete(10)]);
    two.silent.give(0, vec![100]);
    two.check(&[Read(100), Complete(15), Complete(20)]);
    two.end(&[Complete(30), Complete(100)]);
}

#[test]
fn an_idle_source_does_not_hold_time_back_and_counts_again_when_it_wakes_up() {
    let two = Two::start(strategy(), strategy().with_idleness(Duration::from_secs(1)));
    two.busy.give(0, vec![10, 20]);
    two.check(&[Read(10), Read(20)]);
    two.check_in_time(&[Complete(10)]);
    // Time goes on without it.
    two.busy.give(0, vec![30]);
    two.check(&[Read(30), Complete(20)]);
    // It wakes up behind the others: what comes is late, and the others wait for it again.
    two.silent.give(0, vec![25]);
    two.check(&[Late(25)]);
    two.busy.give(0, vec![40]);
    two.check(&[Read(40)]);
    two.silent.give(0, vec![35]);
    two.check(&[Read(35), Complete(30)]);
    two.silent.give(0, vec![45]);
    two.check(&[Read(45), Complete(35)]);
    two.end(&[Complete(40), Complete(45)]);
}

#[test]
fn a_source_whose_generator_says_nothing_is_not_idle() {
    #[derive(Clone)]
    struct Nothing;
    impl WatermarkGenerator<i64> for Nothing {
        fn on_record(&mut self, _: &i64, _: i64) -> Option<i64> {
            None
        }
    }
    let nothing = WatermarkStrategy::for_generator(Nothing).with_timestamp_assigner(|at: &i64| *at);
    let two = Two::start(strategy(), nothing);
    two.busy.give(0, vec![10]);
    two.check(&[Read(10)]);
    two.silent.give(0, vec![20]);
    two.check(&[Read(20)]);
    two.clock.advance(Duration::from_secs(24 * 60 * 60));
    two.busy.give(0, vec![30]);
    two.check(&[Read(30)]);
    two.end(&[Complete(10), Complete(20), Complete(30)]);
}

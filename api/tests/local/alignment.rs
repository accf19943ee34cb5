//! A fast source beside a slow one.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use flott::{Batch, ReadStatus, Source, SplitReader, Stream, TaskInfo, TaskResult, WatermarkStrategy};

use super::{env, run, run_error};

/// How far ahead the fast source may be.
const DRIFT: i64 = 1_000;
/// Event time from one record of the fast source to the next. There is one in a batch.
const FAST_STEP: i64 = 100;
/// Where the fast source gives up waiting to be held back.
const FAST_MAX: i64 = 1_000_000_000;
/// Records of the slow source.
const SLOW_RECORDS: usize = 10;

/// What the two know of each other.
#[derive(Default)]
struct Race {
    fast_at: i64,
    fast_paused: bool,
    fast_ended: bool,
    slow_at: i64,
    slow_records: usize,
    /// The slow one, while it waits for the fast one to be held back.
    slow_waker: Option<Waker>,
    /// Where the fast one and the slow one were whenever the fast one was held back.
    pauses: Vec<(i64, i64)>,
}

/// One of the two. The slow one gives a record each time when the fast one is held back, and so catches up with it.
#[derive(Clone)]
struct Racer {
    race: Arc<Mutex<Race>>,
    is_fast: bool,
}

impl Source for Racer {
    type Item = i64;
    type Split = ();

    fn enumerate(&self, _: u32) -> TaskResult<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): (), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<i64, ()>>> {
        Ok(Box::new(self.clone()))
    }
}

impl Race {
    fn read_fast(&mut self, batch: &mut Batch<i64>) -> ReadStatus {
        assert!(!self.fast_paused, "it is read while it is paused");
        self.fast_at += FAST_STEP;
        batch.push(self.fast_at);
        self.fast_ended = self.slow_records == SLOW_RECORDS || self.fast_at >= FAST_MAX;
        if self.fast_ended { ReadStatus::Ended } else { ReadStatus::More }
    }

    fn read_slow(&mut self, batch: &mut Batch<i64>) -> Option<ReadStatus> {
        if self.slow_records > self.pauses.len() && !self.fast_ended {
            return None;
        }
        self.slow_at = self.pauses.last().map_or(0, |(fast_at, _)| *fast_at);
        self.slow_records += 1;
        batch.push(self.slow_at);
        Some(if self.slow_records < SLOW_RECORDS { ReadStatus::More } else { ReadStatus::Ended })
    }
}

impl SplitReader<i64, ()> for Racer {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<i64>) -> Poll<TaskResult<ReadStatus>> {
        let mut race = self.race.lock().unwrap();
        let status = if self.is_fast { Some(race.read_fast(batch)) } else { race.read_slow(batch) };
        if status.is_none() {
            race.slow_waker = Some(cx.waker().clone());
        } else if race.fast_ended {
            race.slow_waker.take().into_iter().for_each(Waker::wake);
        }
        status.map_or(Poll::Pending, |status| Poll::Ready(Ok(status)))
    }

    fn remaining(&self) {}

    fn pause(&mut self) {
        // The slow one may be, where it has caught up with the fast one and not yet heard how far that has come.
        if !self.is_fast {
            return;
        }
        let mut race = self.race.lock().unwrap();
        race.fast_paused = true;
        let at = (race.fast_at, race.slow_at);
        race.pauses.push(at);
        race.slow_waker.take().into_iter().for_each(Waker::wake);
    }

    fn resume(&mut self) {
        if self.is_fast {
            self.race.lock().unwrap().fast_paused = false;
        }
    }
}

fn strategy() -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at: &i64| *at).with_watermark_alignment(
        "race",
        Duration::from_millis(DRIFT as u64),
        Duration::from_millis(1),
    )
}

#[test]
fn a_fast_source_waits_for_a_slow_one_of_its_group() {
    let race = Arc::<Mutex<Race>>::default();
    let racer = |is_fast| Racer { race: race.clone(), is_fast };
    let env = env(1);
    env.from_source_with_watermarks(racer(true), strategy(), "fast").discard();
    env.from_source_with_watermarks(racer(false), strategy(), "slow").discard();
    run(&env);
    let race = race.lock().unwrap();
    // It was held back until the slow one had given all but its first record; and then it went on to its end.
    assert!(race.fast_ended && race.fast_at < FAST_MAX);
    assert_eq!((race.slow_records, race.pauses.len()), (SLOW_RECORDS, SLOW_RECORDS - 1));
    // How far it comes before it first hears of the slow one depends on chance. From then on it does not.
    for (fast_at, slow_at) in &race.pauses[1..] {
        let ahead = fast_at - slow_at;
        assert!((DRIFT..=DRIFT + FAST_STEP).contains(&ahead), "{ahead} ahead: {:?}", race.pauses);
    }
}

#[test]
fn only_sources_can_be_held_back() {
    let env = env(1);
    env.from_collection(vec![1i64]).assign_timestamps_and_watermarks(strategy()).discard();
    let error = run_error(&env);
    assert!(error.contains("watermark alignment is for the strategies of sources"), "{error}");
}

#[test]
fn only_sources_have_source_watermarks() {
    #[track_caller]
    fn check(make: impl Fn(Stream<i64>) -> Stream<i64>, expected: &str) {
        let env = env(1);
        make(env.from_collection(vec![1i64])).source_watermarks(strategy()).discard();
        let error = run_error(&env);
        assert!(error.contains(expected), "{error}");
    }
    check(|times| times.map(|at| at).name("same"), "must come right behind a source, and not behind \"same\"");
    check(|times| times.rebalance(), "`source_watermarks` must follow an operator");
}

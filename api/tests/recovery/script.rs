//! What is done to a pipeline, and what comes of it with cuts and without.

use std::{fmt::Debug, time::Duration};

use flott::{
    Data, Failure, OutputTag, Stream,
    testing::{Harness, HarnessOptions, Snapshot},
};
use proptest::{prelude::*, test_runner::TestCaseResult};

/// Scripts that each pipeline is tried with. Each runs it twice, and builds it anew at each cut.
pub const CASES: u32 = 64;

/// A key and a number that no other record has.
pub type Record = (u8, i64);

/// Where pipelines give records that are late.
pub const LATE: OutputTag<Record> = OutputTag::new("late");

/// What can happen. Times are those of records and watermarks.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Batch(Vec<(Record, i64)>),
    Watermark(i64),
    /// Processing time passes, in milliseconds.
    Clock(u64),
}

/// What happens, and where and with how many subtasks it is cut.
#[derive(Debug, Clone)]
pub struct Script {
    pub steps: Vec<Step>,
    pub parallelism: u32,
    pub cuts: Vec<Cut>,
}

/// Before which step, and how many subtasks there are behind it.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub before: usize,
    pub parallelism: u32,
}

/// Steps of a stream whose time goes on: record times are about the watermark, some late, some ahead.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => prop::collection::vec((0u8..5, -12i64..25), 1..5).prop_map(|records| (records, 0, 0)),
        2 => (0i64..14).prop_map(|on| (Vec::new(), on, 0)),
        1 => (1u64..30).prop_map(|ms| (Vec::new(), 0, ms)),
    ];
    prop::collection::vec(step, 1..30).prop_map(|steps| {
        let (mut now, mut number) = (100, 0);
        let mut step = |(records, on, ms): (Vec<(u8, i64)>, i64, u64)| {
            if ms > 0 {
                return Step::Clock(ms);
            }
            if records.is_empty() {
                now += on;
                return Step::Watermark(now);
            }
            let mut record = |(key, ahead)| {
                number += 1;
                ((key, number), now + ahead)
            };
            Step::Batch(records.into_iter().map(&mut record).collect())
        };
        steps.into_iter().map(&mut step).collect()
    })
}

/// Cuts, each followed by a run with one of `parallelisms`.
pub fn cuts(parallelisms: std::ops::Range<u32>) -> impl Strategy<Value = Vec<Cut>> {
    let cut = (0usize..30, parallelisms).prop_map(|(before, parallelism)| Cut { before, parallelism });
    prop::collection::vec(cut, 1..4)
}

/// A script whose cuts may change how many subtasks there are.
pub fn script() -> impl Strategy<Value = Script> {
    (steps(), 1u32..4, cuts(1..4)).prop_map(|(steps, parallelism, cuts)| Script { steps, parallelism, cuts })
}

/// A script for pipelines whose results depend on there being one subtask.
pub fn single() -> impl Strategy<Value = Script> {
    (steps(), cuts(1..2)).prop_map(|(steps, cuts)| Script { steps, parallelism: 1, cuts })
}

/// A script whose records are never late, so that results do not depend on which of several inputs is ahead.
pub fn punctual() -> impl Strategy<Value = Script> {
    script().prop_map(|mut script| {
        let mut watermark = i64::MIN;
        for step in &mut script.steps {
            match step {
                Step::Batch(records) => records.iter_mut().for_each(|(_, at)| *at = (*at).max(watermark + 1)),
                Step::Watermark(at) => watermark = *at,
                Step::Clock(_) => {}
            }
        }
        script
    })
}

/// What a pipeline has come to, in order of records.
#[derive(Debug, PartialEq)]
pub struct Outcome<Out> {
    pub results: Vec<(Out, Option<i64>)>,
    pub late: Vec<(Record, Option<i64>)>,
    /// What is left for keys when all time has passed.
    pub left: usize,
}

fn options(parallelism: u32, from: Option<&Snapshot>) -> HarnessOptions {
    on_backends(HarnessOptions::new().side(&LATE), parallelism, from)
}

/// The same, with so many subtasks: state in memory on two of them, and on disk on other numbers. So a snapshot of one backend is restored by the
/// other.
pub fn on_backends(options: HarnessOptions, parallelism: u32, from: Option<&Snapshot>) -> HarnessOptions {
    let options = options.parallelism(parallelism);
    let options = if cfg!(feature = "disk") && parallelism != 2 {
        options.configure("state.backend.type", "disk").configure("state.backend.disk.memory.fixed-per-slot", "1 mb")
    } else {
        options
    };
    match from {
        Some(snapshot) => options.from_snapshot(snapshot),
        None => options,
    }
}

impl Script {
    /// Runs it with its cuts, or with `none`.
    fn run<Out: Data + Ord>(
        &self,
        cuts: &[Cut],
        options: impl Fn(u32, Option<&Snapshot>) -> HarnessOptions,
        build: impl Fn(Stream<Record>) -> Stream<Out>,
    ) -> Result<Outcome<Out>, Failure> {
        let mut harness = Harness::with(options(self.parallelism, None), &build);
        let (mut results, mut late, mut watermark) = (Vec::new(), Vec::new(), None);
        for (place, step) in self.steps.iter().enumerate() {
            for cut in cuts.iter().filter(|cut| cut.before == place) {
                let snapshot = harness.snapshot()?;
                harness.go_back();
                results.extend(harness.take_timestamped());
                late.extend(harness.side_timestamped(&LATE));
                harness = Harness::with(options(cut.parallelism, Some(&snapshot)), &build);
                // A source that begins anew is behind at first.
                watermark.map_or(Ok(()), |watermark: i64| harness.watermark(watermark.saturating_sub(7)))?;
            }
            match step {
                Step::Batch(records) => harness.batch_at(records.iter().copied())?,
                Step::Watermark(at) => {
                    watermark = Some(*at);
                    harness.watermark(*at)?;
                }
                Step::Clock(ms) => harness.advance(Duration::from_millis(*ms))?,
            }
        }
        harness.watermark(1_000_000)?;
        harness.advance(Duration::from_secs(10))?;
        harness.settle()?;
        let left = harness.snapshot()?.keyed_entries();
        harness.end()?;
        results.extend(harness.take_timestamped());
        late.extend(harness.side_timestamped(&LATE));
        results.sort();
        late.sort();
        Ok(Outcome { results, late, left })
    }

    /// Checks that cuts make no difference, and gives what the pipeline comes to with them.
    pub fn check<Out: Data + Ord + Debug>(
        &self,
        build: impl Fn(Stream<Record>) -> Stream<Out>,
    ) -> Result<Outcome<Out>, TestCaseError> {
        self.check_with(options, build)
    }

    /// As [`check`](Self::check), with other options than usual.
    pub fn check_with<Out: Data + Ord + Debug>(
        &self,
        options: impl Fn(u32, Option<&Snapshot>) -> HarnessOptions,
        build: impl Fn(Stream<Record>) -> Stream<Out>,
    ) -> Result<Outcome<Out>, TestCaseError> {
        let failed = |failure: Failure| TestCaseError::fail(failure.to_string());
        let whole = self.run(&[], &options, &build).map_err(failed)?;
        let cut = self.run(&self.cuts, &options, &build).map_err(failed)?;
        prop_assert_eq!(&cut.results, &whole.results);
        prop_assert_eq!(&cut.late, &whole.late);
        Ok(cut)
    }

    /// As [`check`](Self::check), and that nothing is left for any key in the end.
    pub fn check_all_goes<Out: Data + Ord + Debug>(
        &self,
        build: impl Fn(Stream<Record>) -> Stream<Out>,
    ) -> TestCaseResult {
        let outcome = self.check(build)?;
        prop_assert_eq!(outcome.left, 0, "something is left in the snapshot");
        Ok(())
    }
}

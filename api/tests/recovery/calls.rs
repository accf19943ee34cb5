//! Calls that are under way when a snapshot is taken.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use flott::{
    AsyncOptions, Failure, Stream, TumblingEventTimeWindows,
    testing::{Harness, HarnessOptions},
};
use futures::channel::oneshot;
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::script::{CASES, Cut, LATE, Record, Step, cuts, steps};

/// As many calls as there can be: where there is no room, a barrier waits as any record does.
const CAPACITY: usize = 200;

/// Calls that wait to be answered, by their records.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<BTreeMap<Record, oneshot::Sender<()>>>>);

impl Calls {
    async fn ask(self, record: Record) -> Result<Record, Infallible> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().insert(record, sender);
        // Whoever drops the sender has no more use for the answer.
        let _ = receiver.await;
        Ok(record)
    }

    /// Answers one of them; whether there was one.
    fn answer(&self, which: usize) -> bool {
        let mut calls = self.0.lock();
        let record = calls.keys().nth(which % calls.len().max(1)).copied();
        record.and_then(|record| calls.remove(&record)).is_some_and(|call| call.send(()).is_ok())
    }
}

#[derive(Debug, Clone)]
struct Script {
    steps: Vec<Step>,
    /// Which calls are answered behind each step.
    answers: Vec<Vec<usize>>,
    cuts: Vec<Cut>,
    ordered: bool,
}

fn script(parallelisms: std::ops::Range<u32>) -> impl Strategy<Value = Script> {
    let answers = prop::collection::vec(prop::collection::vec(any::<usize>(), 0..5), 30);
    (steps(), answers, cuts(parallelisms), any::<bool>()).prop_map(|(steps, answers, cuts, ordered)| Script {
        steps,
        answers,
        cuts,
        ordered,
    })
}

impl Script {
    /// What comes out, in order, and what is late behind the calls.
    fn run(&self, cuts: &[Cut], windows: bool) -> Result<(Vec<Record>, Vec<Record>), Failure> {
        let calls = Calls::default();
        let build = |records: Stream<Record>| {
            let options = if self.ordered { AsyncOptions::ordered() } else { AsyncOptions::unordered() };
            let calls = calls.clone();
            let options = options.capacity(CAPACITY).timeout(Duration::from_secs(1_000));
            let called = records.map_async(options, move |record| calls.clone().ask(record));
            if !windows {
                return called;
            }
            let windows =
                called.key_by(|record| record.0).window(TumblingEventTimeWindows::of(Duration::from_millis(8)));
            windows.side_output_late_data(&LATE).sum(|record| record.1)
        };
        let options = |subtasks| HarnessOptions::new().parallelism(subtasks).side(&LATE);
        let mut harness = Harness::with(options(1), build);
        let (mut results, mut late) = (Vec::new(), Vec::new());
        for (place, (step, answers)) in self.steps.iter().zip(&self.answers).enumerate() {
            for cut in cuts.iter().filter(|cut| cut.before == place) {
                let snapshot = harness.snapshot()?;
                results.extend(harness.take());
                late.extend(harness.side(&LATE));
                drop(harness);
                calls.0.lock().clear();
                harness = Harness::with(options(cut.parallelism).from_snapshot(&snapshot), build);
            }
            match step {
                Step::Batch(records) => harness.batch_at(records.iter().copied())?,
                Step::Watermark(at) => harness.watermark(*at)?,
                Step::Clock(_) => {}
            }
            for which in answers {
                calls.answer(*which);
                harness.settle()?;
            }
        }
        while harness.end().is_err() {
            if !calls.answer(0) {
                harness.end()?;
            }
            harness.settle()?;
        }
        results.extend(harness.take());
        late.extend(harness.side(&LATE));
        Ok((results, late))
    }
}

fn failed(failure: Failure) -> TestCaseError {
    TestCaseError::fail(failure.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn every_record_has_its_result_and_order(script in script(1..2)) {
        let (mut whole, _) = script.run(&[], false).map_err(failed)?;
        let (mut cut, _) = script.run(&script.cuts, false).map_err(failed)?;
        if !script.ordered {
            whole.sort_unstable();
            cut.sort_unstable();
        }
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn with_more_subtasks_too(script in script(1..4)) {
        let (mut whole, _) = script.run(&[], false).map_err(failed)?;
        let (mut cut, _) = script.run(&script.cuts, false).map_err(failed)?;
        whole.sort_unstable();
        cut.sort_unstable();
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn results_stay_between_the_watermarks_of_their_records(script in script(1..2)) {
        let sorted = |(mut results, mut late): (Vec<Record>, Vec<Record>)| {
            results.sort_unstable();
            late.sort_unstable();
            (results, late)
        };
        let whole = sorted(script.run(&[], true).map_err(failed)?);
        let cut = sorted(script.run(&script.cuts, true).map_err(failed)?);
        prop_assert_eq!(cut, whole);
    }
}

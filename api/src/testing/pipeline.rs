//! Time, results, and what is remembered.

use std::{sync::Arc, time::Duration};

use flott_core::{
    checkpoint::{Barrier, Behind, Overtaking, SnapshotKind},
    failure::Failure,
    id::{CheckpointId, JobId},
    view::Accumulator,
};
use flott_runtime::{
    batch::{Data, Timestamp},
    error::TaskResult,
    event::Event,
    harness::{Draws, HarnessSnapshot, TaskHarness},
    state::StateSize,
    time::ManualClock,
};

use super::{
    HarnessOptions, Snapshot,
    probe::{Emitted, Noted, SideNotes},
};
use crate::{environment::Environment, error::PlanError, function::OutputTag, stream::Stream};

/// Times that [`Pipeline::advance`] passes through at most.
const STOPS_MAX: usize = 10_000_000;

/// Steps that tasks take between two things that are given, at most, where that is drawn.
const STEPS_MAX: usize = 12;

/// A pipeline at work, whatever its inputs are: what [`Harness`](super::Harness) and [`Harness2`](super::Harness2) have
/// in common.
///
/// When a task has failed, every method that can says so again.
pub struct Pipeline<Out> {
    /// Why it cannot run, if so.
    tasks: Result<TaskHarness, Box<Failure>>,
    clock: ManualClock,
    /// What is left to chance.
    pub(super) draws: Option<Draws>,
    noted: Noted<Out>,
    sides: Vec<(String, Box<dyn SideNotes>)>,
    /// The last one.
    checkpoint: CheckpointId,
    /// Whether its barrier overtakes.
    overtaking: Overtaking,
}

impl<Out: Data> Pipeline<Out> {
    pub(super) fn new(options: HarnessOptions, env: &Environment, results: &Stream<Out>) -> Self {
        if !env.is(&results.env) {
            env.problem(PlanError::Mixed("harness"));
        }
        let noted = Noted::default();
        noted.attach(env, "Output", results.origins.clone());
        let sides = options.sides.iter().map(|side| side.attach(env)).collect();
        let clock = ManualClock::at(options.start);
        let tasks = start(env, &clock, options.seed, options.snapshot.as_ref().map(|snapshot| &snapshot.0));
        // Two sequences of the same seed would say the same.
        let draws = options.seed.map(|seed| Draws::new(!seed));
        let overtaking = if options.is_unaligned() { Overtaking::Now } else { Overtaking::Never };
        Self { tasks, clock, draws, noted, sides, checkpoint: CheckpointId(0), overtaking }
    }
}

fn start(
    env: &Environment,
    clock: &ManualClock,
    seed: Option<u64>,
    from: Option<&HarnessSnapshot>,
) -> TaskResult<TaskHarness> {
    let planned = env.rehearsed(JobId::from_bytes([0; 16]), "harness");
    let (graph, program) = planned.map_err(|error| Box::new(Failure::user(error.to_string()).fatal()))?;
    TaskHarness::start(Arc::new(graph), Arc::new(program), clock, seed, from)
}

impl<Out> Pipeline<Out> {
    pub(super) fn tasks(&mut self) -> TaskResult<&mut TaskHarness> {
        let tasks = self.tasks.as_mut().map_err(|failure| failure.clone())?;
        match tasks.failure() {
            Some(failure) => Err(Box::new(failure.clone())),
            None => Ok(tasks),
        }
    }

    /// Something was given: does what comes of it, or as much as is drawn.
    pub(super) fn go_on(&mut self) -> TaskResult {
        let steps = self.draws.as_mut().and_then(|draws| (draws.below(4) > 0).then(|| draws.below(STEPS_MAX)));
        let tasks = self.tasks()?;
        match steps {
            Some(steps) => (0..steps).try_for_each(|_| tasks.step().map(drop)),
            None => tasks.settle(),
        }
    }

    /// Has tasks do all that they can.
    ///
    /// # Errors
    /// When a task fails; so it is with all methods that return a failure. It names the operator.
    pub fn settle(&mut self) -> Result<(), Failure> {
        self.tasks().and_then(TaskHarness::settle).map_err(|failure| *failure)
    }

    /// Processing time, in milliseconds.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets processing time pass, through all times in between that an operator waits for: what is due at one of them is
    /// done when the clock stands there. So a timer that sets itself again fires as often as it does in a job that has
    /// nothing else to do.
    ///
    /// # Errors
    /// As [`settle`](Self::settle); and when there are more than ten million such times.
    pub fn advance(&mut self, by: Duration) -> Result<(), Failure> {
        let by = Timestamp::try_from(by.as_millis()).unwrap_or(Timestamp::MAX);
        let until = self.clock.now().saturating_add(by);
        self.settle()?;
        for _ in 0..STOPS_MAX {
            let now = self.clock.now();
            let next = self.tasks().map_err(|failure| *failure)?.next_alarm();
            // What was waited for until now has been seen to.
            match next.filter(|at| now < *at && *at < until) {
                Some(at) => self.set_time(at)?,
                None => return self.set_time(until),
            }
        }
        Err(Failure::user(format!("operators wait for more than {STOPS_MAX} times until {until}")).fatal())
    }

    /// Sets processing time, in milliseconds, at once, as for a job that has stood still: what was due in between is done
    /// when the clock stands at `now`. It never goes back.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn set_time(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.settle()?;
        self.clock.set(now);
        self.settle()
    }

    /// The results since the last call of this method or one like it.
    pub fn take(&mut self) -> Vec<Out> {
        self.noted.take_records().into_iter().map(|(record, _)| record).collect()
    }

    /// As [`take`](Self::take), with timestamps.
    pub fn take_timestamped(&mut self) -> Vec<(Out, Option<Timestamp>)> {
        self.noted.take_records()
    }

    /// As [`take`](Self::take), with all that comes between records.
    pub fn take_events(&mut self) -> Vec<Emitted<Out>> {
        self.noted.take()
    }

    /// What operators have given to the side output `tag` since the last call.
    ///
    /// # Panics
    /// When [`HarnessOptions::side`] was not called with this tag.
    #[track_caller]
    pub fn side<S: Data>(&mut self, tag: &OutputTag<S>) -> Vec<S> {
        self.side_timestamped(tag).into_iter().map(|(record, _)| record).collect()
    }

    /// As [`side`](Self::side), with timestamps.
    ///
    /// # Panics
    /// As [`side`](Self::side).
    #[track_caller]
    pub fn side_timestamped<S: Data>(&mut self, tag: &OutputTag<S>) -> Vec<(S, Option<Timestamp>)> {
        let noted = self.sides.iter().filter(|(name, _)| name == tag.name());
        match noted.filter_map(|(_, noted)| noted.any().downcast_ref::<Noted<S>>()).next() {
            Some(noted) => noted.take_records(),
            None => panic!("side output {:?} is not noted: call `HarnessOptions::side` with its tag", tag.name()),
        }
    }

    /// What all operators remember by key: for tests that nothing is left behind.
    pub fn state_size(&self) -> StateSize {
        self.tasks.as_ref().map(TaskHarness::state_size).unwrap_or_default()
    }

    /// An accumulator by name: a counter as it is now, anything else at the end of the input.
    pub fn accumulator(&self, name: &str) -> Option<Accumulator> {
        self.tasks.as_ref().ok()?.accumulators().remove(name)
    }

    /// The value of a counter as it is now; 0 if nobody has counted.
    pub fn counter(&self, name: &str) -> i64 {
        match self.accumulator(name) {
            Some(Accumulator::LongCounter(sum)) => sum,
            _ => 0,
        }
    }

    /// The barrier of the next snapshot.
    pub(super) fn next_barrier(&mut self) -> Event {
        self.checkpoint = self.checkpoint.next();
        Event::Barrier(Barrier {
            checkpoint: self.checkpoint,
            kind: SnapshotKind::Checkpoint,
            behind: Behind::GoOn,
            overtaking: self.overtaking,
            full: false,
        })
    }

    /// The barrier was given to all inputs.
    pub(super) fn snapshot(&mut self) -> TaskResult<Snapshot> {
        let overtaking = self.overtaking;
        let tasks = self.tasks()?;
        match overtaking {
            Overtaking::Never => tasks.settle()?,
            // What it overtakes stays under way.
            Overtaking::Now | Overtaking::After { .. } => tasks.settle_cuts()?,
        }
        tasks.snapshot().map(Snapshot)
    }

    /// Drops results that have come out behind the last snapshot: those of a harness that is started from it begin there. Only
    /// unaligned snapshots ([`HarnessOptions::unaligned`]) leave any under way.
    pub fn go_back(&mut self) {
        self.noted.go_back();
        self.sides.iter().for_each(|(_, noted)| noted.go_back());
    }

    /// The inputs have ended: the rest is done, and what sinks have prepared is made visible.
    pub(super) fn finish(&mut self) -> TaskResult {
        let tasks = self.tasks()?;
        tasks.settle()?;
        if tasks.is_over() {
            return tasks.commit();
        }
        let message = "the pipeline waits for something, such as the answer to a call, although its input has ended: \
                       when it has come, `end` can be called again";
        Err(Box::new(Failure::user(message)))
    }
}

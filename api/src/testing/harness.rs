//! Pipelines of one input, and of two.

use std::ops::{Deref, DerefMut};

use flott_core::failure::Failure;
use flott_runtime::batch::{Data, Timestamp};

use super::{Feed, HarnessOptions, Pipeline, Snapshot, port::Port};
use crate::stream::Stream;

/// Runs a pipeline of one input in the caller's thread. See [`testing`](super) for an example; time and results are with
/// [`Pipeline`], to which this dereferences.
///
/// What comes of a record is done before the method that gives it returns, unless the harness is
/// [`interleaved`](HarnessOptions::interleaved). The same calls lead to the same results in every run.
pub struct Harness<In, Out> {
    port: Port<In>,
    pipeline: Pipeline<Out>,
}

impl<In: Data, Out: Data> Harness<In, Out> {
    /// Puts together the pipeline that `build` makes of its input, with one subtask of each operator. What is wrong with
    /// it, or fails when it is opened, is told by the first method that can.
    pub fn new(build: impl FnOnce(Stream<In>) -> Stream<Out>) -> Self {
        Self::with(HarnessOptions::new(), build)
    }

    /// As [`new`](Self::new), with options.
    pub fn with(options: HarnessOptions, build: impl FnOnce(Stream<In>) -> Stream<Out>) -> Self {
        let env = options.environment();
        let (port, input) = Port::new(&env, "Input", options.input_subtasks());
        let results = build(input);
        Self { port, pipeline: Pipeline::new(options, &env, &results) }
    }

    /// The input, for what takes one whether it is the only one or not.
    pub fn input(&mut self) -> Feed<'_, In, Out> {
        Feed::new(&mut self.port, &mut self.pipeline)
    }

    /// As [`Feed::push`].
    ///
    /// # Errors
    /// As [`Feed::push`]; so it is with all methods.
    pub fn push(&mut self, record: In) -> Result<(), Failure> {
        self.input().push(record)
    }

    /// As [`Feed::push_at`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn push_at(&mut self, record: In, timestamp: Timestamp) -> Result<(), Failure> {
        self.input().push_at(record, timestamp)
    }

    /// As [`Feed::push_all`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn push_all(&mut self, records: impl IntoIterator<Item = In>) -> Result<(), Failure> {
        self.input().push_all(records)
    }

    /// As [`Feed::push_all_at`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn push_all_at(&mut self, records: impl IntoIterator<Item = (In, Timestamp)>) -> Result<(), Failure> {
        self.input().push_all_at(records)
    }

    /// As [`Feed::batch`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn batch(&mut self, records: impl IntoIterator<Item = In>) -> Result<(), Failure> {
        self.input().batch(records)
    }

    /// As [`Feed::batch_at`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn batch_at(&mut self, records: impl IntoIterator<Item = (In, Timestamp)>) -> Result<(), Failure> {
        self.input().batch_at(records)
    }

    /// As [`Feed::watermark`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn watermark(&mut self, watermark: Timestamp) -> Result<(), Failure> {
        self.input().watermark(watermark)
    }

    /// As [`Feed::idle`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn idle(&mut self) -> Result<(), Failure> {
        self.input().idle()
    }

    /// As [`Feed::active`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn active(&mut self) -> Result<(), Failure> {
        self.input().active()
    }

    /// What all operators remember now, to start another harness from. What was given before is done first, and what sinks have
    /// prepared until then is made visible, as after a checkpoint. This harness goes on.
    ///
    /// # Errors
    /// When an operator cannot give its state; when the pipeline has ended, or waits for a call that leaves no room; and as
    /// [`Feed::push`].
    pub fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        let barrier = self.pipeline.next_barrier();
        self.input().barrier(barrier).map_err(|failure| *failure)?;
        self.pipeline.snapshot().map_err(|failure| *failure)
    }

    /// Ends the input, as a job's source does: the last watermark, what operators keep for the end, the end. What sinks of
    /// the pipeline have prepared is made visible. Results can still be taken; a further call does nothing.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn end(&mut self) -> Result<(), Failure> {
        if !self.port.ended {
            self.input().end()?;
        }
        self.pipeline.finish().map_err(|failure| *failure)
    }
}

impl<In, Out> Deref for Harness<In, Out> {
    type Target = Pipeline<Out>;

    fn deref(&self) -> &Pipeline<Out> {
        &self.pipeline
    }
}

impl<In, Out> DerefMut for Harness<In, Out> {
    fn deref_mut(&mut self) -> &mut Pipeline<Out> {
        &mut self.pipeline
    }
}

/// Runs a pipeline of two inputs in the caller's thread. As [`Harness`], but records are given to
/// [`left`](Self::left) or [`right`](Self::right).
///
/// ```
/// use flott::{Stream, testing::Harness2};
///
/// # fn main() -> Result<(), flott::Failure> {
/// let mut harness = Harness2::new(|numbers: Stream<u64>, words: Stream<String>| {
///     numbers.connect(&words).map(|number| number, |word| word.len() as u64)
/// });
/// harness.left().push(7)?;
/// harness.right().push("four".to_owned())?;
/// assert_eq!(harness.take(), [7, 4]);
/// harness.end()?;
/// # Ok(())
/// # }
/// ```
pub struct Harness2<A, B, Out> {
    left: Port<A>,
    right: Port<B>,
    pipeline: Pipeline<Out>,
}

impl<A: Data, B: Data, Out: Data> Harness2<A, B, Out> {
    /// As [`Harness::new`].
    pub fn new(build: impl FnOnce(Stream<A>, Stream<B>) -> Stream<Out>) -> Self {
        Self::with(HarnessOptions::new(), build)
    }

    /// As [`Harness::with`].
    pub fn with(options: HarnessOptions, build: impl FnOnce(Stream<A>, Stream<B>) -> Stream<Out>) -> Self {
        let env = options.environment();
        let (left, left_input) = Port::new(&env, "Left", options.input_subtasks());
        let (right, right_input) = Port::new(&env, "Right", options.input_subtasks());
        let results = build(left_input, right_input);
        Self { left, right, pipeline: Pipeline::new(options, &env, &results) }
    }

    /// The first input.
    pub fn left(&mut self) -> Feed<'_, A, Out> {
        Feed::new(&mut self.left, &mut self.pipeline)
    }

    /// The second input.
    pub fn right(&mut self) -> Feed<'_, B, Out> {
        Feed::new(&mut self.right, &mut self.pipeline)
    }

    /// Gives a watermark to both inputs.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn watermark(&mut self, watermark: Timestamp) -> Result<(), Failure> {
        self.left().watermark(watermark)?;
        self.right().watermark(watermark)
    }

    /// As [`Harness::snapshot`].
    ///
    /// # Errors
    /// As [`Harness::snapshot`].
    pub fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        let barrier = self.pipeline.next_barrier();
        self.left().barrier(barrier).and_then(|()| self.right().barrier(barrier)).map_err(|failure| *failure)?;
        self.pipeline.snapshot().map_err(|failure| *failure)
    }

    /// Ends the inputs that have not ended, as [`Harness::end`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub fn end(&mut self) -> Result<(), Failure> {
        if !self.left.ended {
            self.left().end()?;
        }
        if !self.right.ended {
            self.right().end()?;
        }
        self.pipeline.finish().map_err(|failure| *failure)
    }
}

impl<A, B, Out> Deref for Harness2<A, B, Out> {
    type Target = Pipeline<Out>;

    fn deref(&self) -> &Pipeline<Out> {
        &self.pipeline
    }
}

impl<A, B, Out> DerefMut for Harness2<A, B, Out> {
    fn deref_mut(&mut self) -> &mut Pipeline<Out> {
        &mut self.pipeline
    }
}

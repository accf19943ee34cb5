//! Tests of functions and pipelines, without a cluster, threads or real time.
//!
//! A [`Harness`] runs a pipeline of one input in the caller's thread: the test pushes records, watermarks and time in, and
//! takes out what comes of them. The tasks, channels and timers are those of a job; only what surrounds them is not there.
//!
//! ```
//! use std::time::Duration;
//!
//! use flott::{FunctionResult, KeyedContext, KeyedProcessFunction, Stream, Timer, testing::Harness};
//!
//! /// Says the key of a record again after ten seconds.
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl KeyedProcessFunction for Echo {
//!     type Key = String;
//!     type In = String;
//!     type Out = String;
//!
//!     fn process(&mut self, _: String, ctx: &mut KeyedContext<'_, String, String>) -> FunctionResult {
//!         let at = ctx.processing_time() + 10_000;
//!         ctx.register_processing_time_timer(at)?;
//!         Ok(())
//!     }
//!
//!     fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, String, String>) -> FunctionResult {
//!         let key = ctx.key()?.clone();
//!         ctx.emit(key);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), flott::Failure> {
//! let mut harness = Harness::new(|words: Stream<String>| words.key_by(String::clone).process(Echo));
//! harness.push("hello".to_owned())?;
//! harness.advance(Duration::from_secs(9))?;
//! assert!(harness.take().is_empty());
//! assert_eq!(harness.state_size().timers, 1);
//! harness.advance(Duration::from_secs(1))?;
//! assert_eq!(harness.take(), ["hello"]);
//! harness.end()?;
//! # Ok(())
//! # }
//! ```
//!
//! With [`HarnessOptions::parallelism`] each operator has several subtasks, and with [`HarnessOptions::interleaved`] it is
//! drawn from a seed which task is next, so that a property test can see that results do not depend on either.
//!
//! # Layout
//! - `harness`: pipelines of one input, and of two
//! - `options`: what can be set
//! - `feed`: how a test gives records, watermarks and ends
//! - `pipeline`: time, results, and what is remembered
//! - `probe`: where results are noted
//! - `port`: where records come in
//! - `snapshot`: what a pipeline remembers, to start another harness from

mod feed;
mod harness;
mod options;
mod pipeline;
mod port;
mod probe;
mod snapshot;

pub use feed::Feed;
pub use flott_runtime::state::StateSize;
pub use harness::{Harness, Harness2};
pub use options::HarnessOptions;
pub use pipeline::Pipeline;
pub use probe::Emitted;
pub use snapshot::Snapshot;

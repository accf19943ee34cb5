//! The DataStream API: write a program, run it in its own process or on a Flott cluster.
//!
//! ```
//! use flott::{Environment, ExecutionMode};
//!
//! # fn main() -> flott::Result<()> {
//! let env = Environment::local();
//! env.set_mode(ExecutionMode::Batch);
//! let counts = env
//!     .from_collection(vec!["to be or".to_owned(), "not to be".to_owned()])
//!     .flat_map_iter(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .key_by(|word| word.clone())
//!     .count()
//!     .collect();
//! let result = env.execute("word count")?;
//!
//! let mut counts = result.collected(&counts)?;
//! counts.sort();
//! assert_eq!(counts, [("be".into(), 2), ("not".into(), 1), ("or".into(), 1), ("to".into(), 2)]);
//! # Ok(())
//! # }
//! ```
//!
//! The nouns are Flink's. A [`Stream`] is a plan of records to come; [`Environment::execute`] runs it. The crate knows
//! nothing of REST, stores or cluster backends: a program that runs on a cluster is the same executable, started by it.
//!
//! # Layout
//! - [`Environment`]: sources, settings, `execute`
//! - [`Stream`], [`KeyedStream`], [`ConnectedStreams`]: what a program is written with
//! - `function`: [`ProcessFunction`] and its kin, contexts, [`Aggregate`]
//! - `source`, [`Sink`]: the ends of streams
//! - [`Text`]: short texts, as keys often are
//! - `operator`: what runs
//! - `plan`, `graph`: what was put together, and the job graph it becomes
//! - `program`: how the runtime builds tasks out of it
//! - [`JobResult`], [`Error`]: how it ends

mod allocator;
mod environment;
mod error;
mod function;
mod graph;
mod operator;
mod plan;
mod program;
mod result;
mod sink;
mod source;
mod stream;
mod text;

pub use environment::Environment;
pub use error::{Error, PlanError, Result};
pub use flott_core::{
    failure::Failure,
    id::JobId,
    job_graph::{ExecutionMode, RestartStrategy},
    view::Accumulator,
};
pub use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::{TaskResult, UserError},
    source::{ReadStatus, Source, SplitReader},
    state::{EntryMap, KeyScope, ListState, MapState, ValueState},
    task::TaskInfo,
};
pub use function::{
    Aggregate, CoProcessFunction, Collector, Context, FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen,
    KeyedProcessFunction, OutputTag, ProcessFunction,
};
pub use result::JobResult;
pub use sink::{Collected, FileSink, Sink, SinkTask, SinkWriter};
pub use source::GeneratorSource;
pub use stream::{ConnectedStreams, KeyedConnectedStreams, KeyedStream, Number, Stream, StreamSink};
pub use text::{Pieces, Text};

#[doc(hidden)]
pub use allocator::private as __private;

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

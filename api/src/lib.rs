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
//! - `window`: [`WindowAssigner`], [`Trigger`], [`Evictor`], [`ProcessWindowFunction`]
//! - `source`, [`Sink`]: the ends of streams
//! - [`Text`]: short texts, as keys often are
//! - `operator`: what runs
//! - `plan`, `graph`: what was put together, and the job graph it becomes
//! - `program`: how the runtime builds tasks out of it
//! - [`JobResult`], [`Error`]: how it ends
//! - [`testing`]: functions and pipelines without a cluster, threads or real time

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
pub mod testing;
mod text;
mod window;

pub use environment::Environment;
pub use error::{Error, PlanError, Result};
pub use flott_core::{
    failure::Failure,
    id::{JobId, OperatorId},
    job_graph::{ExecutionMode, RestartStrategy},
    view::Accumulator,
};
pub use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::{TaskResult, UserError},
    source::{ReadStatus, Source, SplitReader},
    state::{
        AggregatingState, BroadcastState, BroadcastStates, EntryMap, KeyScope, KeyedHandle, ListOperatorState,
        ListState, MapState, OperatorScope, ReducingState, StateDescriptor, StateTtl, ValueState,
    },
    task::TaskInfo,
    time::{Clock, ManualClock, TimeDelta, TimeDomain, WatermarkAlignment, WatermarkGenerator, WatermarkStrategy},
};
pub use function::{
    Aggregate, AsyncOptions, AsyncRetry, BroadcastOpen, BroadcastProcessFunction, CoProcessFunction, Collector,
    Context, FunctionResult, JoinContext, KeyedBroadcastContext, KeyedBroadcastOpen, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedContext, KeyedOpen, KeyedProcessFunction, OpenContext, OutputTag, ProcessFunction,
    ProcessJoinFunction, Timer,
};
pub use result::JobResult;
pub use sink::{
    Collected, Csv, FileEncoder, FileFormat, FileSink, PartFile, PartitionPath, Share, Sink, SinkTask, SinkWriter,
};
pub use source::{GeneratorSource, RateLimiter};
pub use stream::{
    AllWindowedStream, BroadcastConnectedStreams, CoGroup, ConnectedStreams, IntervalJoinStreams, IntervalJoined, Join,
    KeyedBroadcastConnectedStreams, KeyedConnectedStreams, KeyedStream, KeyedStreamPair, Number, Stream, StreamPair,
    StreamPairWhere, StreamSink, TemporalJoinStreams, WindowedStream, WindowedStreamPair,
};
pub use text::{Pieces, Text};
pub use window::{
    AlignedKind, AlignedWindows, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor,
    CountTrigger, CumulativeEventTimeWindows, CumulativeProcessingTimeWindows, DeltaEvictor, DeltaTrigger,
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows, EventTimeTrigger,
    Evictor, EvictorContext, GlobalWindow, GlobalWindows, NeverTrigger, ProcessWindowFunction,
    ProcessingTimeSessionWindows, ProcessingTimeTrigger, PurgingTrigger, SlidingEventTimeWindows,
    SlidingProcessingTimeWindows, TaggedUnion, TimeEvictor, TimeWindow, Trigger, TriggerContext, TriggerResult,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowAssigner, WindowContext, WindowElements,
    WindowListState, WindowMapState, WindowOpen, WindowValueState,
};

#[doc(hidden)]
pub use allocator::private as __private;

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// So do those of the page on tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct TestingPage;
/// So do those of the guide to programs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/programs.md")]
struct Programs;
/// So do those of the page on windows.
#[cfg(doctest)]
#[doc = include_str!("../../docs/windows.md")]
struct WindowsPage;

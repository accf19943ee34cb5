//! Streams: what a program is written with.
//!
//! # Layout
//! - `settings`: names, uids, parallelism, chaining of the operator at hand
//! - `transform`: functions of single records
//! - `call`: asynchronous calls
//! - `time`: timestamps and watermarks
//! - `partition`: how records get to the next operator
//! - `keyed`: streams with a key: reductions, aggregations, state
//! - `windowed`, `all_windowed`: streams cut into windows, by key or as a whole
//! - `connect`, `broadcast`: two streams of different types
//! - `interval_join`, `temporal_join`: joins of two streams
//! - `window_join`: two streams whose records meet in windows
//! - `output`: sinks

mod all_windowed;
mod broadcast;
mod call;
mod connect;
mod interval_join;
mod keyed;
mod output;
mod partition;
mod settings;
mod temporal_join;
mod time;
mod transform;
mod window_join;
mod windowed;

use std::{fmt, marker::PhantomData};

use flott_core::job_graph::OperatorKind;
use flott_runtime::batch::Data;

pub use all_windowed::AllWindowedStream;
pub use broadcast::{BroadcastConnectedStreams, KeyedBroadcastConnectedStreams};
pub use connect::{ConnectedStreams, KeyedConnectedStreams};
pub use interval_join::{IntervalJoinStreams, IntervalJoined};
pub use keyed::{KeyedStream, Number};
pub use output::StreamSink;
pub use temporal_join::TemporalJoinStreams;
pub use window_join::{CoGroup, Join, KeyedStreamPair, StreamPair, StreamPairWhere, WindowedStreamPair};
pub use windowed::WindowedStream;

use crate::{
    environment::Environment,
    error::PlanError,
    plan::{Body, Node, NodeIndex, Origin, PlainEdge},
};

/// Records on their way. Methods add operators to the plan; nothing runs before
/// [`Environment::execute`](crate::Environment::execute).
///
/// Functions are cloned for each subtask. A function that changes what it has captured changes its subtask's copy.
pub struct Stream<T> {
    pub(crate) env: Environment,
    pub(crate) origins: Vec<Origin>,
    /// The operator that settings are for; none for a union or a partitioning.
    pub(crate) operator: Option<NodeIndex>,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        let Self { env, origins, operator, record } = self;
        Self { env: env.clone(), origins: origins.clone(), operator: *operator, record: *record }
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream<{}>", std::any::type_name::<T>())
    }
}

impl<T: Data> Stream<T> {
    /// The main output of `node`.
    pub(crate) fn of(env: Environment, node: NodeIndex) -> Self {
        let origin = Origin { node, side: None, ship: None, edge: PlainEdge::<T>::body() };
        Self { env, origins: vec![origin], operator: Some(node), record: PhantomData }
    }

    fn from_origins(env: Environment, origins: Vec<Origin>) -> Self {
        Self { env, origins, operator: None, record: PhantomData }
    }

    /// Adds an operator with this stream as its only input.
    fn then<U: Data>(&self, operation: &'static str, body: Body) -> Stream<U> {
        let mut node = Node::new(OperatorKind::Operator, operation, vec![self.origins.clone()], body);
        node.detail = detail::<T, U>();
        Stream::of(self.env.clone(), self.env.add(node))
    }

    /// Notes a problem unless `other` belongs to the same environment.
    fn must_share_environment<U>(&self, what: &'static str, other: &Stream<U>) {
        if !self.env.is(&other.env) {
            self.env.problem(PlanError::Mixed(what));
        }
    }
}

/// The types of an operator, for the fingerprint.
fn detail<T, U>() -> String {
    format!("{} -> {}", std::any::type_name::<T>(), std::any::type_name::<U>())
}

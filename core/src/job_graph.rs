//! The job graph: what a program is planned into, what is submitted, stored and deployed.
//!
//! A vertex is a chain of operators; an edge connects two vertices with a ship strategy. The document around it
//! (`job.graph`, the REST body, the stored copy: the same bytes) is read and written by [`document`], which refuses
//! what [`check`] finds wrong; [`plan`] draws it in Flink's two plan shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Digest, EdgeIndex, Fingerprint, JobId, OperatorId, VertexId},
    resource::ResourceProfile,
};

pub mod check;
pub mod document;
pub mod plan;
#[cfg(test)]
mod samples;
pub mod scale;

/// Whether input ends, and so when results are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExecutionMode {
    /// Results as they come.
    Streaming,
    /// Bounded input; one final result per key at the end.
    Batch,
}

impl ExecutionMode {
    /// The name in REST answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Streaming => "STREAMING",
            Self::Batch => "BATCH",
        }
    }
}

/// The executable that holds the user's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Digest of the executable; its name in the blob store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The platform it was built for, as `x86_64-linux`.
    pub target: String,
    /// File name it was submitted under; for people.
    pub file_name: String,
    /// The entry that the user named (`-c`), for programs that hold several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The program's own arguments.
    pub arguments: Vec<String>,
}

/// How many subtasks a vertex gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parallelism {
    /// `parallelism.default` of the job's configuration, else of the cluster's.
    Default,
    /// This many.
    Fixed(u32),
}

impl Parallelism {
    /// The number, where `default` is `parallelism.default`.
    pub const fn resolve(self, default: u32) -> u32 {
        match self {
            Self::Default => default,
            Self::Fixed(number) => number,
        }
    }
}

/// What a restart does and when there are too many of them. Durations in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type", deny_unknown_fields)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    #[serde(deserialize_with = "document::no_fields")]
    None,
    /// A fixed number of restarts, each after a fixed delay.
    #[serde(rename_all = "kebab-case")]
    FixedDelay {
        /// Restarts allowed.
        attempts: u32,
        /// Wait before each.
        delay_ms: u64,
    },
    /// Restarts as long as failures are rare.
    #[serde(rename_all = "kebab-case")]
    FailureRate {
        /// Failures allowed in an interval.
        failures_per_interval_max: u32,
        /// The interval.
        interval_ms: u64,
        /// Wait before each restart.
        delay_ms: u64,
    },
    /// Waits that grow with each failure and shrink back after a quiet time.
    #[serde(rename_all = "kebab-case")]
    ExponentialDelay {
        /// First wait.
        initial_backoff_ms: u64,
        /// Longest wait.
        max_backoff_ms: u64,
        /// Growth per failure, at least 1.
        multiplier: f64,
        /// Quiet time after which the wait starts over.
        reset_threshold_ms: u64,
        /// Random part of a wait, as a fraction of it, 0 to 1.
        jitter: f64,
        /// Restarts allowed before the wait starts over; `None` is without limit.
        attempts_max: Option<u32>,
    },
}

/// Which restart strategy a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// The cluster's.
    Cluster,
    /// The job's own.
    Own(RestartStrategy),
}

/// What an operator is, as far as scheduling and plans care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorKind {
    /// Reads splits.
    Source,
    /// Neither first nor last.
    Operator,
    /// Writes results; takes part in the commit at the end.
    Sink,
}

/// One operator within a vertex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSpec {
    /// Stable identity.
    pub id: OperatorId,
    /// The uid that the user gave, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its node number in the stream graph, from 1.
    pub node: u32,
    /// Its name, given or derived.
    pub name: String,
    /// What it is.
    pub kind: OperatorKind,
    /// What it does, in a line.
    pub description: String,
    /// Where its input comes from, in the order of its inputs.
    pub inputs: Vec<OperatorInput>,
}

/// One input of an operator in the stream graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorInput {
    /// Node number of the operator that feeds it.
    pub node: u32,
    /// How records get here.
    pub ship: ShipStrategy,
}

/// A chain of operators that runs as one task per subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobVertex {
    /// Stable identity.
    pub id: VertexId,
    /// Names of the chain, joined by ` -> `.
    pub name: String,
    /// The chain, in order; the first reads the inputs. Chains may branch: an operator names its own inputs.
    pub operators: Vec<OperatorSpec>,
    /// How many subtasks.
    pub parallelism: Parallelism,
    /// Key groups, and the bound of the parallelism; `None` derives it from the parallelism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallelism: Option<u32>,
    /// Subtasks of different vertices of one group may share a slot.
    pub slot_sharing_group: String,
    /// What one subtask asks for.
    #[serde(default)]
    pub resources: ResourceProfile,
}

/// How records get from the subtasks of one vertex to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ShipStrategy {
    /// Subtask i to subtask i; equal parallelism.
    Forward,
    /// By key group.
    Hash,
    /// Round-robin over all.
    Rebalance,
    /// Round-robin over a nearby few.
    Rescale,
    /// Every record to all.
    Broadcast,
    /// At random over all.
    Shuffle,
    /// All to the first subtask.
    Global,
    /// By the user's function.
    Custom,
}

impl ShipStrategy {
    /// The name in plans, as Flink writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "FORWARD",
            Self::Hash => "HASH",
            Self::Rebalance => "REBALANCE",
            Self::Rescale => "RESCALE",
            Self::Broadcast => "BROADCAST",
            Self::Shuffle => "SHUFFLE",
            Self::Global => "GLOBAL",
            Self::Custom => "CUSTOM",
        }
    }

    /// Whether each producer reaches only some of the consumers.
    pub const fn is_pointwise(self) -> bool {
        matches!(self, Self::Forward | Self::Rescale)
    }
}

/// Whether a consumer may start before its producers have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Both run at once; the two ends fail and restart together.
    Pipelined,
    /// The consumer starts when the producers are done.
    Blocking,
}

/// A connection between two vertices. Its [`EdgeIndex`] is its place in [`JobGraph::edges`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobEdge {
    /// Producing vertex.
    pub source: VertexId,
    /// Node number of the operator whose output this is.
    pub source_node: u32,
    /// Side output by name; `None` is the main output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side_output: Option<String>,
    /// Consuming vertex.
    pub target: VertexId,
    /// Which input of the consuming vertex, from 0. Several edges on one input are a union.
    pub target_input: u32,
    /// How records get there.
    pub ship: ShipStrategy,
    /// When they may.
    pub exchange: Exchange,
}

/// A job as submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobGraph {
    /// Identity of the job.
    pub job_id: JobId,
    /// Name for people.
    pub name: String,
    /// Streaming or batch.
    pub mode: ExecutionMode,
    /// The executable.
    pub program: Program,
    /// Chains, producers before consumers.
    pub vertices: Vec<JobVertex>,
    /// Connections.
    pub edges: Vec<JobEdge>,
    /// What a failure does.
    pub restart: RestartPolicy,
    /// The job's own configuration keys.
    #[serde(deserialize_with = "document::unique_entries")]
    pub configuration: BTreeMap<String, String>,
    /// Fingerprint of the plan, compared when a job process plans again.
    pub fingerprint: Fingerprint,
    /// One line per operator and edge: what the fingerprint is taken of, kept to say what differs.
    pub fingerprint_lines: Vec<String>,
}

impl JobGraph {
    /// A vertex by id.
    pub fn vertex(&self, id: VertexId) -> Option<&JobVertex> {
        self.vertices.iter().find(|vertex| vertex.id == id)
    }

    /// Edges with their indices.
    pub fn indexed_edges(&self) -> impl Iterator<Item = (EdgeIndex, &JobEdge)> {
        (0..).map(EdgeIndex).zip(&self.edges)
    }

    /// Edges into `vertex`.
    pub fn inputs_of(&self, vertex: VertexId) -> impl Iterator<Item = (EdgeIndex, &JobEdge)> {
        self.indexed_edges().filter(move |(_, edge)| edge.target == vertex)
    }

    /// Edges out of `vertex`.
    pub fn outputs_of(&self, vertex: VertexId) -> impl Iterator<Item = (EdgeIndex, &JobEdge)> {
        self.indexed_edges().filter(move |(_, edge)| edge.source == vertex)
    }
}

/// The platform of this build, as [`Program::target`] names it.
pub fn host_target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

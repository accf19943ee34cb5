use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FailureCause, QueueStatus};

/// A checkpoint is asked for. Every field may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckpointRequest {
    /// `CONFIGURED`, `FULL` or `INCREMENTAL`; `CONFIGURED` when absent.
    pub checkpoint_type: Option<CheckpointType>,
    /// Under which the outcome is read: 32 hex digits; drawn when absent. The same again is the same request.
    pub trigger_id: Option<String>,
}

/// Kinds of checkpoints in Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckpointType {
    /// As those that are taken by themselves, which are incremental.
    Configured,
    /// All state is stored anew: it shares no file with those before it.
    Full,
    /// What has changed, where there is a checkpoint to build on.
    Incremental,
}

/// Formats of savepoints in Flink.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SavepointFormat {
    /// The same for all state backends.
    Canonical,
    /// That of the state backend.
    Native,
}

/// A savepoint is asked for. Every field may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct SavepointTriggerRequest {
    /// An absolute path or URL, in which the savepoint gets a directory of its own; `execution.checkpointing.savepoint-dir`
    /// when absent.
    pub target_directory: Option<String>,
    /// Whether the job is cancelled then.
    pub cancel_job: Option<bool>,
    /// Without effect: there is one format.
    #[serde(rename = "formatType")]
    pub format_type: Option<SavepointFormat>,
    /// Under which the outcome is read: 32 hex digits; drawn when absent. The same again is the same request.
    #[serde(rename = "triggerId")]
    pub trigger_id: Option<String>,
}

/// A job is to be stopped with a savepoint. Every field may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct StopRequest {
    /// An absolute path or URL, in which the savepoint gets a directory of its own; `execution.checkpointing.savepoint-dir`
    /// when absent.
    #[serde(alias = "target-directory")]
    pub target_directory: Option<String>,
    /// Whether time comes to its end before, so that all windows fire: the job is done for good.
    pub drain: Option<bool>,
    /// Without effect: there is one format.
    pub format_type: Option<SavepointFormat>,
    /// Under which the outcome is read, as that of a savepoint: 32 hex digits; drawn when absent.
    pub trigger_id: Option<String>,
}

/// A savepoint is to be removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DisposalRequest {
    /// Its directory, or the manifest in it.
    pub savepoint_path: String,
    /// Under which the outcome is read: 32 hex digits; drawn when absent. The same again is the same request.
    #[serde(default, rename = "triggerId")]
    pub trigger_id: Option<String>,
}

/// Something was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Triggered {
    /// Under which its outcome is read.
    pub request_id: String,
}

/// A checkpoint that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointOperation {
    /// Whether it has ended.
    pub status: QueueStatus,
    /// How; null before.
    pub operation: Option<CheckpointOutcome>,
}

/// How a checkpoint has ended that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointOutcome {
    /// Its number, if it is complete.
    #[serde(rename = "checkpointId", skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<u64>,
    /// Why it is not.
    #[serde(rename = "failure-cause", skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<FailureCause>,
}

/// A savepoint that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavepointOperation {
    /// Whether it has ended, and the job with it if that was asked for.
    pub status: QueueStatus,
    /// How; null before.
    pub operation: Option<SavepointOutcome>,
}

/// How a savepoint has ended that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SavepointOutcome {
    /// Where it is, if it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<FailureCause>,
}

/// The removal of a savepoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisposalOperation {
    /// Whether it has ended.
    pub status: QueueStatus,
    /// How; null before.
    pub operation: Option<DisposalOutcome>,
}

/// How the removal of a savepoint has ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DisposalOutcome {
    /// Why it is not removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<FailureCause>,
}

use serde::Serialize;
use utoipa::ToSchema;

/// Why a job waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pending {
    /// The job.
    pub id: String,
    /// Its state.
    pub status: String,
    /// One per kind of slot that is missing; empty when it does not wait.
    pub reasons: Vec<PendingEntry>,
}

/// Slots that are missing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PendingEntry {
    /// How many.
    pub slots_missing: u32,
    /// Of which size, in words.
    pub profile: String,
    /// Thousandths of a core of each; 0 for any.
    pub cpu_millicores: u32,
    /// Bytes of memory of each; 0 for any.
    pub memory_bytes: u64,
    /// Since when, in milliseconds since the epoch.
    pub since: u64,
    /// Why, in a line.
    pub reason: String,
}

/// The logs of a job's processes.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobLogs {
    /// The job.
    pub id: String,
    /// One per file; read them at `/taskmanagers/:worker/logs/:name`.
    pub logs: Vec<JobLog>,
}

/// A log of one of a job's processes.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobLog {
    /// The TaskManager that has it.
    pub worker: String,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written to last, in milliseconds since the epoch.
    pub mtime: u64,
}

/// A blob is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlobStored {
    /// Its digest: BLAKE3 in hex.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Whether the JobManager can be relied on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`, as was asked.
    pub status: String,
}

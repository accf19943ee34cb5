use serde::Serialize;
use utoipa::ToSchema;

/// An object without fields.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Empty {}

/// What an error looks like.
#[derive(Debug, Serialize, ToSchema)]
pub struct Errors {
    /// What went wrong, the gist first.
    pub errors: Vec<String>,
}

/// What a web page needs to know of the cluster.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DashboardConfiguration {
    /// Milliseconds between refreshes.
    pub refresh_interval: u64,
    /// Name of the time zone of this host.
    pub timezone_name: String,
    /// Its offset from UTC in milliseconds.
    pub timezone_offset: i32,
    /// The version of Flink whose REST shapes are followed.
    pub flink_version: String,
    /// Who serves them.
    pub flink_revision: String,
    /// What can be done.
    pub features: Features,
}

/// What can be done over REST.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Features {
    /// Uploading and running programs.
    pub web_submit: bool,
    /// Cancelling jobs.
    pub web_cancel: bool,
    /// Changing the parallelism of running jobs.
    pub web_rescale: bool,
    /// Whether only ended jobs are shown.
    pub web_history: bool,
}

/// The cluster in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterOverview {
    /// Registered TaskManagers.
    pub taskmanagers: usize,
    /// Their slots.
    pub slots_total: usize,
    /// Slots that no job has.
    pub slots_available: usize,
    /// Jobs that have not ended.
    pub jobs_running: usize,
    /// Jobs that ended well.
    pub jobs_finished: usize,
    /// Jobs that were cancelled.
    pub jobs_cancelled: usize,
    /// Jobs that failed.
    pub jobs_failed: usize,
    /// The version of Flink whose REST shapes are followed.
    pub flink_version: String,
    /// Who serves them.
    pub flink_commit: String,
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigEntry {
    /// Key.
    pub key: String,
    /// Value; secrets are masked.
    pub value: String,
}

/// What the JobManager runs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnvironmentInfo {
    /// The place of Flink's virtual machine: this build.
    pub jvm: RuntimeInfo,
    /// Always empty: there are no classes.
    pub classpath: Vec<String>,
}

/// The build that runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuntimeInfo {
    /// Name and version.
    pub version: String,
    /// Processor architecture.
    pub arch: String,
    /// Arguments of the process.
    pub options: Vec<String>,
}

/// Log files.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogList {
    /// One per file.
    pub logs: Vec<LogEntry>,
}

/// A log file.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written to last, in milliseconds since the epoch.
    pub mtime: u64,
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Uploaded programs. Flink calls them jars.
#[derive(Debug, Serialize, ToSchema)]
pub struct JarList {
    /// Where they can be uploaded.
    pub address: String,
    /// Newest first.
    pub files: Vec<JarFile>,
}

/// An uploaded program.
#[derive(Debug, Serialize, ToSchema)]
pub struct JarFile {
    /// By which it is run.
    pub id: String,
    /// Under which it was uploaded.
    pub name: String,
    /// When, in milliseconds since the epoch.
    pub uploaded: u64,
    /// What can be run in it: a program has one entry, its `main`.
    pub entry: Vec<JarEntry>,
}

/// An entry of a program.
#[derive(Debug, Serialize, ToSchema)]
pub struct JarEntry {
    /// Its name.
    pub name: String,
    /// Always null.
    pub description: Option<String>,
}

/// A program was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct JarUploaded {
    /// Its path; the last component is its id.
    pub filename: String,
    /// `success`.
    pub status: String,
}

/// How a program is to be planned or run. Every field may be absent; those that only mean something to a virtual
/// machine are without effect.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct JarRequest {
    /// The entry, for programs that hold several.
    pub entry_class: Option<String>,
    /// Arguments in one text, separated by blanks; quotes hold blanks together.
    pub program_args: Option<String>,
    /// Arguments, one by one.
    pub program_args_list: Option<Vec<String>>,
    /// `parallelism.default` of the job.
    pub parallelism: Option<u32>,
    /// Id of the job; a fresh one when absent.
    pub job_id: Option<String>,
    /// Further configuration of the job.
    pub flink_configuration: BTreeMap<String, String>,
    /// Whether state in it that the job has no operator for is left behind.
    pub allow_non_restored_state: Option<bool>,
    /// Savepoint or checkpoint that the job starts from.
    pub savepoint_path: Option<String>,
    /// Whose that snapshot is: its owner's (`NO_CLAIM`), or the job's, which removes it (`CLAIM`).
    pub claim_mode: Option<String>,
    /// The older name of `claimMode`.
    pub restore_mode: Option<String>,
}

/// A program was submitted.
#[derive(Debug, Serialize, ToSchema)]
pub struct JarRun {
    /// The job.
    pub jobid: String,
    /// The same.
    #[serde(rename = "applicationId")]
    pub application_id: String,
}

//! Verbs about checkpoints and savepoints.

use clap::Args;

use super::{Json, Target};

/// What a job starts from.
#[derive(Debug, Clone, Default, Args)]
pub struct Restore {
    /// Savepoint or checkpoint that the job starts from: its directory, or the manifest in it.
    #[arg(short = 's', long = "fromSavepoint", value_name = "PATH")]
    pub from_savepoint: Option<String>,
    /// Leaves behind state in it that the job has no operator for, instead of refusing it.
    #[arg(short = 'n', long = "allowNonRestoredState")]
    pub allow_non_restored_state: bool,
    /// Whose the snapshot is: NO_CLAIM leaves it to its owner; with CLAIM it is the job's, which removes it as it would a checkpoint
    /// of its own. The job needs nothing of it once a checkpoint of its own is complete. Also -cm, -claim; --restoreMode, -rm.
    #[arg(long = "claimMode", value_name = "MODE")]
    pub claim_mode: Option<String>,
}

/// `flott cancel`
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    pub target: Target,
    /// Takes a savepoint before, in this directory or the configured one. `flott stop` is the better way: it lets the job
    /// read nothing behind its savepoint.
    #[arg(short = 's', long = "withSavepoint", value_name = "DIR", num_args = 0..=1)]
    pub with_savepoint: Option<Option<String>>,
    /// The job.
    #[arg(value_name = "JOB-ID", required_unless_present = "with_savepoint")]
    pub job: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

/// `flott savepoint`
#[derive(Debug, Args)]
pub struct Savepoint {
    #[command(flatten)]
    pub target: Target,
    /// Removes this savepoint instead of taking one.
    #[arg(short = 'd', long, value_name = "PATH", conflicts_with_all = ["job", "directory", "detached"])]
    pub dispose: Option<String>,
    /// Returns once the savepoint is begun, with the id under which REST says how it has ended.
    #[arg(long)]
    pub detached: bool,
    /// The job.
    #[arg(value_name = "JOB-ID", required_unless_present = "dispose")]
    pub job: Option<String>,
    /// Directory in which the savepoint gets one of its own; `execution.checkpointing.savepoint-dir` when absent.
    #[arg(value_name = "DIR")]
    pub directory: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

/// `flott checkpoint`
#[derive(Debug, Args)]
pub struct Checkpoint {
    #[command(flatten)]
    pub target: Target,
    /// Stores all state anew, so that the checkpoint shares no file with those before it. Also -full.
    #[arg(long, conflicts_with = "incremental")]
    pub full: bool,
    /// Stores what has changed, where there is a checkpoint to build on; so do those that are taken by themselves. Also -incremental.
    #[arg(long)]
    pub incremental: bool,
    /// The job.
    #[arg(value_name = "JOB-ID")]
    pub job: String,
    #[command(flatten)]
    pub json: Json,
}

/// `flott stop`
#[derive(Debug, Args)]
pub struct Stop {
    #[command(flatten)]
    pub target: Target,
    /// Brings time to its end before, so that all windows and timers fire: for a job that is done for good.
    #[arg(short = 'd', long)]
    pub drain: bool,
    /// Directory in which the savepoint gets one of its own; `execution.checkpointing.savepoint-dir` when absent.
    #[arg(short = 'p', long = "savepointPath", value_name = "DIR")]
    pub savepoint_path: Option<String>,
    /// The job.
    #[arg(value_name = "JOB-ID")]
    pub job: String,
    #[command(flatten)]
    pub json: Json,
}

//! Checkpoints: how often, how, and where.

use std::time::Duration;

use crate::config::{
    ConfigValue,
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// What a checkpoint promises after a restart from it.
    CheckpointingMode {
        /// The effect of each record is there exactly once.
        ExactlyOnce = "EXACTLY_ONCE",
        /// The effect of each record is there at least once.
        AtLeastOnce = "AT_LEAST_ONCE",
    }
}

config_enum! {
    /// What becomes of the checkpoints of a job that ends without finishing.
    CheckpointRetention {
        /// They stay when the job fails, and go when it is cancelled.
        DeleteOnCancellation = "DELETE_ON_CANCELLATION",
        /// They stay.
        RetainOnCancellation = "RETAIN_ON_CANCELLATION",
        /// They go.
        NoExternalizedCheckpoints = "NO_EXTERNALIZED_CHECKPOINTS",
    }
}

/// Whose the snapshot is that a job starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimMode {
    /// Its owner's: the job's first checkpoint needs nothing of it, and nobody removes it.
    NoClaim,
    /// The job's, which removes it as it would a checkpoint of its own.
    Claim,
}

impl ConfigValue for ClaimMode {
    fn kind() -> String {
        "`NO_CLAIM` or `CLAIM`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "no_claim" => Ok(Self::NoClaim),
            "claim" => Ok(Self::Claim),
            "legacy" => Err("neither NO_CLAIM nor CLAIM, and gone from Flink too: with NO_CLAIM nobody removes the snapshot, and the \
                 job needs nothing of it once a checkpoint of its own is complete; with CLAIM the job removes it"
                .to_owned()),
            _ => Err("neither NO_CLAIM nor CLAIM".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::NoClaim => "NO_CLAIM".to_owned(),
            Self::Claim => "CLAIM".to_owned(),
        }
    }
}

section! {
    "Checkpointing",
    "Snapshots of a streaming job's state, taken while it runs, from which it goes on after a failure. On by default. A job \
     in batch mode takes none: it starts over.";

    /// Time from the beginning of one checkpoint to that of the next. 0 takes none but those that are asked for.
    INTERVAL: Duration = key("execution.checkpointing.interval").default("10 s").range("0 ms", "365 d");

    /// Whether the effect of each record is there exactly once after a restart (`EXACTLY_ONCE`), or may be there twice
    /// (`AT_LEAST_ONCE`), which spares fast inputs the wait for slow ones.
    MODE: CheckpointingMode = key("execution.checkpointing.mode").default("EXACTLY_ONCE");

    /// Time after which a checkpoint that is not complete is given up.
    TIMEOUT: Duration = key("execution.checkpointing.timeout").default("10 min").range("10 ms", "365 d");

    /// Least time from the end of one checkpoint to the beginning of the next.
    MIN_PAUSE: Duration = key("execution.checkpointing.min-pause").default("0 ms").range("0 ms", "365 d");

    /// Checkpoints that may be under way at the same time. Those asked for by hand are not counted.
    MAX_CONCURRENT: u32 = key("execution.checkpointing.max-concurrent-checkpoints").default("1").range("1", "64");

    /// Whether barriers go past records that wait, which then become part of the checkpoint: it takes no longer where a job is
    /// slow to take in what its sources give. For `EXACTLY_ONCE`, with one checkpoint at a time. Savepoints are aligned always.
    UNALIGNED: bool = key("execution.checkpointing.unaligned.enabled")
        .default("false")
        .fallback(&["execution.checkpointing.unaligned"]);

    /// With `execution.checkpointing.unaligned.enabled`: how long a barrier waits in its place, for the records before it to
    /// be taken, until it goes past them. 0 is at once.
    ALIGNED_TIMEOUT: Duration = key("execution.checkpointing.aligned-checkpoint-timeout")
        .default("0 ms")
        .range("0 ms", "365 d")
        .fallback(&["execution.checkpointing.alignment-timeout"]);

    /// Checkpoints in a row that may fail before the job fails with them. Unset, it runs on however many do: they are shown
    /// as failed, and the last one that was completed counts.
    TOLERABLE_FAILED: Option<u32> =
        key("execution.checkpointing.tolerable-failed-checkpoints").range("0", "2147483647");

    /// Completed checkpoints that are kept; older ones are removed.
    NUM_RETAINED: u32 =
        key("execution.checkpointing.num-retained").default("2").range("1", "1000").fallback(&["state.checkpoints.num-retained"]);

    /// What becomes of the checkpoints when the job ends without finishing. A job that has finished leaves none.
    RETENTION: CheckpointRetention =
        key("execution.checkpointing.externalized-checkpoint-retention").default("RETAIN_ON_CANCELLATION");

    /// Directory under which each job has one for its checkpoints: a path, `file://` URL or `s3://<bucket>/<path>` that all
    /// processes of the cluster reach. Unset, it is `checkpoints` in the state directory of the JobManager, which is right for a cluster on one host;
    /// a local run takes no checkpoints without it. For a cluster a path must be absolute.
    DIR: Option<String> = key("execution.checkpointing.dir").fallback(&["state.checkpoints.dir"]);

    /// Directory for savepoints that are asked for without one.
    SAVEPOINT_DIR: Option<String> =
        key("execution.checkpointing.savepoint-dir").fallback(&["state.savepoints.dir"]);

    /// Savepoint or checkpoint that a job starts from; the command line's `-s`.
    RECOVERY_PATH: Option<String> = key("execution.state-recovery.path").fallback(&["execution.savepoint.path"]);

    /// Whether a job may start from a snapshot that holds state of operators which it does not have; that state is left
    /// behind. The command line's `-n`.
    IGNORE_UNCLAIMED: bool = key("execution.state-recovery.ignore-unclaimed-state")
        .default("false")
        .fallback(&["execution.savepoint.ignore-unclaimed-state"]);

    /// Whose the snapshot is that a job starts from: with `NO_CLAIM` it stays its owner's, and nobody but its owner removes it. With
    /// `CLAIM` it is the job's own: it goes when `execution.checkpointing.num-retained` later checkpoints are there, and when the job has
    /// ended as `execution.checkpointing.externalized-checkpoint-retention` says. The first checkpoint of the job needs nothing of it
    /// in either. The command line's `--claimMode`.
    CLAIM_MODE: ClaimMode = key("execution.state-recovery.claim-mode")
        .default("NO_CLAIM")
        .fallback(&["execution.savepoint-restore-mode"]);
}

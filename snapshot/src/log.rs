//! The checkpoints of one job: a log with a place for each checkpoint id.
//!
//! # Why an older JobMaster cannot commit
//! A JobMaster that begins puts a *claim* on top of the log: a document in the next place. One that commits creates the
//! place after its last, and after that reads whether there is a claim of somebody newer. Say A commits, and B claims.
//! - Both want the same place. If B's claim is there first, A finds it, and is [deposed](crate::Error::Deposed). If A's
//!   checkpoint is, B reads the log again and claims the place above.
//! - Their places are different, because what one read of the log was old when it wrote. Each of them reads the whole log
//!   after it has written. So if A does not see the claim, B sees the checkpoint; it claims again above it, until its claim
//!   is on top.
//!
//! So what A was told to be committed B knows when it has claimed, however late a request arrives. If both see each other,
//! A ends without having been told, and B restores from the checkpoint: that is for B to decide. Claims in their turn go by
//! epochs: who reads a newer one stops.
//!
//! A checkpoint that is given up leaves its place free. It is filled with a claim before a later one is committed, so that
//! an older JobMaster finds its place taken, rather than only what it looks for afterwards.
//!
//! [Collecting](Log::collect) makes holes, but never frees the newest place nor the claim of the JobMaster that leads: so
//! what an older one looks for is there. What its late requests create in a hole is below all that counts, or by an older
//! epoch than all that counts, and goes with a later collection.
//!
//! # Unknown outcomes
//! When a request fails, what it was to create may be there, or come later. It is read back and compared, and tried again
//! with the same bytes. Where nothing helps, [`Error::Unknown`](crate::Error::Unknown) says so, and the next commit settles it: it fills the
//! place, or finds that the checkpoint was committed.

mod claim;
mod collect;
mod commit;
mod entries;

use std::collections::BTreeSet;

use flott_core::id::{CheckpointId, JobId, JobMasterEpoch};

pub use collect::Collected;
pub use entries::Listed;

use crate::{
    directory::Directory,
    manifest::{Manifest, document::Claim},
    snapshot::METADATA,
    verify::Damage,
};

/// The checkpoints of a job, to be looked at by anybody.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    directory: Directory,
    job: JobId,
}

impl Checkpoints {
    /// Those of `job` in `root`, the directory of all checkpoints.
    pub fn new(root: &Directory, job: JobId) -> Self {
        Self { directory: root.of_job(job), job }
    }

    /// The directory of the job: its tasks write their state files there.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where the document of a checkpoint lies, as a location to restore from.
    pub fn location(&self, checkpoint: CheckpointId) -> String {
        format!("{}/{}", self.directory.location(), directory_name(checkpoint))
    }
}

/// What the log of a job must have, as others know. If it has not, it is another one: a volume is not mounted, or its directory was
/// emptied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// A JobMaster that has claimed it, the first one or a later one.
    pub begun: Option<JobMasterEpoch>,
    /// A checkpoint that was complete; a later one may have taken its place.
    pub complete: Option<CheckpointId>,
}

/// What a JobMaster gets that has claimed the log.
#[derive(Debug)]
pub struct Claimed {
    /// To commit checkpoints with.
    pub log: Log,
    /// The newest checkpoint of which everything is there; nothing if there is none.
    pub restorable: Option<Manifest>,
    /// Older ones of which everything is there too, newest first. A JobMaster that is just being deposed may yet remove some that it does
    /// not retain.
    pub older: Vec<Manifest>,
    /// What is wrong with newer ones, newest first. Not empty means that work is lost.
    pub damaged: Vec<Damage>,
}

/// The log of a job in the hands of a JobMaster.
#[derive(Debug)]
pub struct Log {
    checkpoints: Checkpoints,
    epoch: JobMasterEpoch,
    /// Where the JobMaster began.
    claimed: CheckpointId,
    /// The only place that may be created.
    next: CheckpointId,
    /// Places whose documents were seen not to be by somebody newer.
    known: BTreeSet<CheckpointId>,
    /// No manifest that is yet to come names files of checkpoints up to this one, but for those that the log names already.
    settled: CheckpointId,
    /// Whether there may be state files that no manifest names.
    suspects: bool,
}

impl Log {
    /// The least id that the next checkpoint may have.
    pub fn next(&self) -> CheckpointId {
        self.next
    }

    /// Whether there may be state files that no manifest names and [`sweep`](Self::sweep) can tell: an earlier JobMaster has been
    /// here, a checkpoint was given up, or a collection was cut short. What writers leave that are late is not known of.
    pub fn suspects_orphans(&self) -> bool {
        self.suspects
    }

    /// The checkpoints of the job.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

/// The name of the directory of a checkpoint.
fn directory_name(checkpoint: CheckpointId) -> String {
    format!("chk-{checkpoint}")
}

/// The path of its document.
fn document_path(checkpoint: CheckpointId) -> String {
    format!("{}/{METADATA}", directory_name(checkpoint))
}

fn new_claim(job: JobId, checkpoint: CheckpointId, epoch: JobMasterEpoch) -> Claim {
    Claim { job_id: job, checkpoint, epoch, nonce: crate::directory::random_hex(16) }
}

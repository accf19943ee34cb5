//! The checkpoints of one job: a log with a place for each checkpoint id.
//!
//! # Why an older JobMaster cannot commit
//! Each place is created once, conditionally, and a JobMaster creates only the place after the last one that it has
//! created (or found taken by nobody newer). One that begins reads the log, and *claims* the first free place by a
//! document of its own. Say A leads up to place n - 1, and B claims.
//! - If B's claim is in place n, A finds it there when it commits, and is [deposed](crate::Error::Deposed).
//! - If A was quicker, its checkpoint is in place n, B's claim fails, B reads again and claims n + 1. After its claim B reads
//!   the log once more, so it restores from n, whether or not A ever learnt that n was committed.
//!
//! So of two JobMasters one finds what the other did, whatever the order and however late a request arrives. Claims in
//! their turn go by epochs: who reads a newer one stops, before its claim and after.
//!
//! A checkpoint that is given up leaves its place free. It is filled with a claim before a later one is committed: a hole
//! would let an older JobMaster in.
//!
//! [Collecting](Log::collect) makes holes, below the newest place, which it never frees. A request of an older JobMaster
//! that arrives there late creates a document, but whoever sent it then looks for places above its own, finds some, and
//! knows that it is deposed. The document itself is below all that counts, and goes with the next collection.
//!
//! # Unknown outcomes
//! When a request fails, what it was to create may be there, or come later. It is read back and compared, and tried again
//! with the same bytes. Where nothing helps, [`Error::Unknown`](crate::Error::Unknown) says so, and the next commit settles it: it fills the
//! place, or finds that the checkpoint was committed.

mod claim;
mod collect;
mod commit;
mod entries;

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

/// What a JobMaster gets that has claimed the log.
#[derive(Debug)]
pub struct Claimed {
    /// To commit checkpoints with.
    pub log: Log,
    /// The newest checkpoint of which everything is there; nothing if there is none.
    pub restorable: Option<Manifest>,
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
}

impl Log {
    /// The least id that the next checkpoint may have.
    pub fn next(&self) -> CheckpointId {
        self.next
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

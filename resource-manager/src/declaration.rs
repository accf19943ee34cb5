//! What a job needs.

use std::collections::BTreeMap;

use flott_core::{
    id::{JobId, JobMasterEpoch},
    resource::ResourceProfile,
};

/// All slots that a job needs at once, those that it already has included. Each declaration replaces the one before;
/// repeating it changes nothing; an empty one withdraws the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The job.
    pub job: JobId,
    /// Who declares; declarations of older JobMasters are dropped.
    pub epoch: JobMasterEpoch,
    /// How many slots of which size.
    pub needs: BTreeMap<ResourceProfile, u32>,
    /// How many more it would use: free ones that no job needs, and workers are started for them.
    pub wished: BTreeMap<ResourceProfile, u32>,
    /// How many more than these it would use if they are free and no job needs them. No worker is started for them.
    pub welcome: BTreeMap<ResourceProfile, u32>,
    /// Fewest missing slots that let some part of the job go on. Fewer are not granted. 0: all that are missing, as
    /// where the whole job is one pipelined region.
    pub useful_min: u32,
    /// Whether the job runs nothing on the slots that it has. While something is missing, too, they may be taken back
    /// for another job that they would let run.
    pub idle: bool,
    /// Whether the job waits for slots that it had under an earlier leadership: it is given those and no others.
    pub reconciling: bool,
}

impl Declaration {
    /// A declaration of a job that needs all or nothing and uses what it has; needs of zero slots are left out.
    pub fn new(job: JobId, epoch: JobMasterEpoch, needs: BTreeMap<ResourceProfile, u32>) -> Self {
        let (wished, welcome) = (BTreeMap::new(), BTreeMap::new());
        let mut declaration =
            Self { job, epoch, needs, wished, welcome, useful_min: 0, idle: false, reconciling: false };
        declaration.needs.retain(|_, count| *count > 0);
        declaration
    }

    /// The declaration of a job that needs nothing any more.
    pub fn withdrawn(job: JobId, epoch: JobMasterEpoch) -> Self {
        Self::new(job, epoch, BTreeMap::new())
    }

    /// Says what the job would use beyond its needs: what workers may be started for, and what it takes if it is there.
    #[must_use]
    pub fn wishing(mut self, wished: BTreeMap<ResourceProfile, u32>, welcome: BTreeMap<ResourceProfile, u32>) -> Self {
        (self.wished, self.welcome) = (wished, welcome);
        self
    }

    /// Says that parts of the job can go on with that many slots.
    #[must_use]
    pub const fn useful_from(mut self, slots: u32) -> Self {
        self.useful_min = slots;
        self
    }

    /// Says whether the job waits for slots that it had.
    #[must_use]
    pub const fn reconciling(mut self, reconciling: bool) -> Self {
        self.reconciling = reconciling;
        self
    }

    /// Says whether the job runs nothing on the slots that it has.
    #[must_use]
    pub const fn idle(mut self, idle: bool) -> Self {
        self.idle = idle;
        self
    }
}

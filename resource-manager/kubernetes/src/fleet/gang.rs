//! Which pods are let in together by a queue that counts them: Kueue.
//!
//! A group of Kueue's declares how many pods it has. With one less all of them wait, and one more is deleted, for good where an earlier one
//! has ended well. So a pod is put into a group only while that is being filled, before any of it was let in, whichever JobManager
//! has begun it; a group is begun where there are no pods at all. All others wait by themselves: beside a group, and in the place
//! of what it has lost.

use flott_core::id::WorkerId;

use super::{Fleet, member::Member};
use crate::{names::ClusterId, observed::ObservedPod, queue};

/// A group of pods, as each of them declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many pods it has.
    pub total: u32,
}

/// How many pods are let in together, and what groups of them are called after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gang {
    /// How many; at least one.
    pub size: u32,
    /// The cluster.
    pub cluster: ClusterId,
}

impl Group {
    /// What a pod declares; `None` for one that waits by itself.
    pub fn of(pod: &ObservedPod) -> Option<Self> {
        let name = pod.metadata.labels.as_ref()?.get(queue::KUEUE_GROUP)?.clone();
        let total = pod.metadata.annotations.as_ref()?.get(queue::KUEUE_GROUP_TOTAL)?.parse().ok()?;
        Some(Self { name, total })
    }
}

impl Gang {
    /// The group that a worker begins.
    fn begun_by(&self, worker: &WorkerId) -> Group {
        let name = format!("{}-{}", self.cluster, &blake3::hash(worker.0.as_bytes()).to_hex()[..10]);
        Group { name, total: self.size }
    }
}

impl Fleet {
    /// The group that the pod of a new worker belongs to.
    pub(super) fn group_for(&self, worker: &WorkerId) -> Option<Group> {
        let gang = self.gang.as_ref()?;
        let stays = |member: &&Member| !member.stop && !member.is_leaving && member.rejected.is_none();
        let mut staying = self.members.values().filter(stays).peekable();
        if staying.peek().is_none() {
            return Some(gang.begun_by(worker));
        }
        let groups: Vec<&Group> = staying.filter_map(|member| member.group.as_ref()).collect();
        let count = |group: &Group| groups.iter().filter(|one| one.name == group.name).count();
        let is_open = |group: &&&Group| {
            !self.let_in.contains(&group.name) && count(group) < usize::try_from(group.total).unwrap_or(0)
        };
        groups.iter().find(is_open).map(|group| (*group).clone())
    }
}

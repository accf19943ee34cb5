//! Pods that are gone without a word: a watch that has had a gap lists everything anew, and what is not in that list is no more.
//!
//! That is not so of a pod that came to be known while the watch listed: it came later, or was gone before, and in the second case the
//! watch says nothing of it any more. Such pods are looked for by a list that is begun afterwards.

use std::collections::BTreeSet;

use flott_core::id::WorkerId;
use flott_resource_manager::backend::LossReason;

use super::{Action, Fleet, member::PodId};

/// Lists of the watch.
#[derive(Debug, Default)]
pub(super) struct Relist {
    number: u64,
    /// Uids in the one that is under way.
    seen: Option<BTreeSet<String>>,
    /// Uids of pods that it is not known of whether they are there.
    doubtful: BTreeSet<String>,
    /// Those of them that are being looked for.
    sought: BTreeSet<String>,
}

impl Relist {
    /// How many lists have begun.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn begin(&mut self) {
        self.number += 1;
        self.seen = Some(BTreeSet::new());
    }

    /// The watch shows a pod.
    pub(super) fn shows(&mut self, uid: &str) {
        if let Some(seen) = &mut self.seen {
            seen.insert(uid.to_owned());
        }
    }
}

impl Fleet {
    pub(super) fn relist_ended(&mut self) {
        let Some(seen) = self.relist.seen.take() else { return };
        let mut missing = Vec::new();
        for (worker, member) in &self.members {
            let Some(pod) = member.pod.as_ref().filter(|pod| !seen.contains(&pod.uid)) else { continue };
            if member.since_relist < self.relist.number {
                missing.push(worker.clone());
            } else {
                self.relist.doubtful.insert(pod.uid.clone());
            }
        }
        self.vanished(missing);
        self.look();
        self.synced = true;
        self.release();
        self.stop_when_seen.clear();
    }

    /// Those pods are not there any more.
    fn vanished(&mut self, workers: Vec<WorkerId>) {
        for worker in workers {
            if let Some(member) = self.members.get_mut(&worker) {
                member.is_leaving = true;
            }
            self.depart(&worker, LossReason::Vanished);
        }
    }

    /// Looks for pods that are in doubt, for all of them at a time: a list that was begun before says nothing of later ones.
    fn look(&mut self) {
        if self.relist.sought.is_empty() && !self.relist.doubtful.is_empty() {
            self.relist.sought = std::mem::take(&mut self.relist.doubtful);
            self.actions.push(Action::Look);
        }
    }

    pub(super) fn looked(&mut self, uids: &BTreeSet<String>) {
        let sought = std::mem::take(&mut self.relist.sought);
        let is_gone = |pod: &PodId| sought.contains(&pod.uid) && !uids.contains(&pod.uid);
        let gone = self.members.iter().filter(|(_, member)| member.pod.as_ref().is_some_and(is_gone));
        let gone = gone.map(|(worker, _)| worker.clone()).collect();
        self.vanished(gone);
        self.look();
    }
}

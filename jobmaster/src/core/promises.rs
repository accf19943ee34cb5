//! What snapshots hold that is not visible, as far as is known, and is kept when the job ends: a job that starts from one makes it so.
//!
//! - What a *savepoint* holds is promised before its manifest is stored: should it be complete and this JobMaster die of it, the next one
//!   has to know ([`Past`](flott_core::past::Past), which is durable before the manifest is). It may not be complete, and then a little more is kept than
//!   need be. One that surely is not complete promises nothing. It is a promise until a checkpoint has made it certain; what an attempt has
//!   prepared that went further back than the savepoint stays one. With so much of it no other savepoint begins that the job goes on behind:
//!   a job that takes no checkpoints by itself would hand on more with each.
//! - What a *checkpoint* holds, or may, and could not be made visible by a job that ends.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{id::OperatorId, message::Committable};
use flott_snapshot::Manifest;

use super::JobMasterCore;
use crate::commit::OPEN_BYTES_MAX;

/// What tells a committable from others.
pub(super) fn promise(committable: &Committable) -> (OperatorId, Bytes) {
    (committable.sink, committable.data.clone())
}

impl JobMasterCore {
    /// These are kept.
    pub(super) fn promise_all(&mut self, held: impl IntoIterator<Item = (OperatorId, Bytes)>) {
        for held in held {
            self.promised_alone.remove(&held);
            self.past_changed |= self.promised.insert(held);
        }
    }

    /// A savepoint is to hold these. It also holds what checkpoints have made certain and was not visible yet: that is no promise
    /// any more.
    pub(super) fn promise_savepoint(&mut self, manifest: &Manifest) {
        let mut held: BTreeSet<_> = manifest.committables.iter().map(promise).collect();
        for certain in self.latest.iter().flat_map(|latest| &latest.manifest.committables) {
            held.remove(&promise(certain));
        }
        let alone: BTreeSet<_> = held.difference(&self.promised).cloned().collect();
        self.promise_all(held);
        self.promised_alone = alone;
    }

    /// The savepoint is stored, or nobody knows whether it is, or `surely_not`: then what it alone was to hold is no promise.
    pub(super) fn settle_promises(&mut self, surely_not: bool) {
        let alone = std::mem::take(&mut self.promised_alone);
        if surely_not {
            for held in &alone {
                self.past_changed |= self.promised.remove(held);
            }
        }
    }

    /// Whether so much is promised that nobody should add to it.
    pub(super) fn promises_enough(&self) -> bool {
        self.promised.iter().map(|(_, data)| data.len()).sum::<usize>() > OPEN_BYTES_MAX
    }

    /// These are visible, or become so.
    pub(super) fn keep_promises<'a>(&mut self, certain: impl IntoIterator<Item = &'a Committable>) {
        if !self.promised.is_empty() {
            for certain in certain {
                self.past_changed |= self.promised.remove(&promise(certain));
            }
        }
    }

    /// These cannot be made visible. A snapshot holds them, or may.
    pub(super) fn strand(&mut self, left: &[Committable]) {
        self.stranded = true;
        self.promise_all(left.iter().map(promise));
    }

    /// What is not removed, by sink.
    pub(super) fn kept(&self) -> BTreeMap<OperatorId, Vec<Bytes>> {
        let mut kept: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (sink, data) in &self.promised {
            kept.entry(*sink).or_default().push(data.clone());
        }
        kept
    }
}

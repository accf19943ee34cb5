//! What is in the cache, who uses it, and what goes first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use flott_core::id::Digest;

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<Digest, Entry>,
    gates: BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    pins: u32,
    last_use: u64,
    checked: bool,
}

impl Index {
    /// Notes a blob of an earlier life; later ones count as used later.
    pub(super) fn found(&mut self, digest: Digest, bytes: u64) {
        self.insert(digest, bytes, 0, false);
    }

    /// Notes a blob that was just fetched and checked, and pins it.
    pub(super) fn fetched(&mut self, digest: Digest, bytes: u64) {
        self.insert(digest, bytes, 1, true);
    }

    fn insert(&mut self, digest: Digest, bytes: u64, pins: u32, checked: bool) {
        self.uses += 1;
        self.entries.insert(digest, Entry { bytes, pins, last_use: self.uses, checked });
    }

    /// Pins a blob if it is here, and says whether its content was checked in this life.
    pub(super) fn pin(&mut self, digest: Digest) -> Option<bool> {
        self.uses += 1;
        let entry = self.entries.get_mut(&digest)?;
        entry.pins += 1;
        entry.last_use = self.uses;
        Some(entry.checked)
    }

    pub(super) fn unpin(&mut self, digest: Digest) {
        if let Some(entry) = self.entries.get_mut(&digest) {
            entry.pins = entry.pins.saturating_sub(1);
        }
    }

    pub(super) fn note_checked(&mut self, digest: Digest) {
        if let Some(entry) = self.entries.get_mut(&digest) {
            entry.checked = true;
        }
    }

    pub(super) fn forget(&mut self, digest: Digest) {
        self.entries.remove(&digest);
    }

    /// Takes unpinned blobs out, least recently used first, until the rest fits into `bytes_max`.
    pub(super) fn evict(&mut self, bytes_max: u64) -> Vec<Digest> {
        let mut total: u64 = self.entries.values().map(|entry| entry.bytes).sum();
        let mut idle: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.pins == 0).collect();
        idle.sort_by_key(|(_, entry)| entry.last_use);
        let mut evicted = Vec::new();
        for (digest, entry) in idle {
            if total <= bytes_max {
                break;
            }
            total -= entry.bytes;
            evicted.push(*digest);
        }
        evicted.iter().for_each(|digest| self.forget(*digest));
        evicted
    }

    /// What those who want `digest` at the same time queue at.
    pub(super) fn gate(&mut self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        if let Some(gate) = self.gates.get(&digest).and_then(Weak::upgrade) {
            return gate;
        }
        self.gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        self.gates.insert(digest, Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    #[test]
    fn least_recently_used_goes_first_and_used_ones_stay() {
        let mut index = Index::default();
        for n in 1..=4 {
            index.found(digest(n), 10);
        }
        assert_eq!(index.pin(digest(1)), Some(false));
        index.pin(digest(2));
        index.unpin(digest(2));
        assert_eq!(index.evict(20), [digest(3), digest(4)]);
        assert_eq!(index.evict(0), [digest(2)], "the first is in use");
        index.unpin(digest(1));
        assert_eq!(index.evict(0), [digest(1)]);
        assert_eq!(index.pin(digest(1)), None);
    }

    #[test]
    fn those_who_come_together_share_a_gate() {
        let mut index = Index::default();
        let first = index.gate(digest(1));
        assert!(Arc::ptr_eq(&first, &index.gate(digest(1))));
        assert!(!Arc::ptr_eq(&first, &index.gate(digest(2))));
        drop(first);
        index.gate(digest(3));
        assert_eq!(index.gates.len(), 1, "gates without visitors are taken down");
    }
}

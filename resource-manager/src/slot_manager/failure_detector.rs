//! Who has not been heard for too long.
//!
//! A silence is only held against a worker while this process was listening: after a pause of our own (a suspended
//! process, a machine that slept) everyone gets a full timeout again, because what they said meanwhile is still in
//! the sockets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::time::Time;

/// Longest time between two looks, while there is anyone to look at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Tracks when each of a set of peers was last heard.
#[derive(Debug)]
pub struct FailureDetector<K> {
    timeout: Duration,
    heard: BTreeMap<K, Time>,
    by_time: BTreeSet<(Time, K)>,
    looked_at: Time,
}

impl<K: Ord + Clone> FailureDetector<K> {
    /// A detector that suspects peers after `timeout` of silence.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, heard: BTreeMap::new(), by_time: BTreeSet::new(), looked_at: Time(0) }
    }

    /// The peer is alive; begins to watch it if it is new.
    pub fn heard(&mut self, peer: &K, now: Time) {
        if self.heard.is_empty() {
            self.looked_at = now;
        }
        if let Some(before) = self.heard.insert(peer.clone(), now) {
            self.by_time.remove(&(before, peer.clone()));
        }
        self.by_time.insert((now, peer.clone()));
    }

    /// Ends watching a peer.
    pub fn forget(&mut self, peer: &K) {
        if let Some(before) = self.heard.remove(peer) {
            self.by_time.remove(&(before, peer.clone()));
        }
    }

    /// When a watched peer was last heard.
    pub fn last_heard(&self, peer: &K) -> Option<Time> {
        self.heard.get(peer).copied()
    }

    /// Peers that were silent for too long, longest silence first. They are not watched any more.
    pub fn silent(&mut self, now: Time) -> Vec<(K, Duration)> {
        let own_pause = now.since(self.looked_at) > (self.timeout / 2).max(LOOK_INTERVAL * 2);
        self.looked_at = now;
        if own_pause {
            for peer in self.heard.keys().cloned().collect::<Vec<_>>() {
                self.heard(&peer, now);
            }
        }
        let mut silent = Vec::new();
        while let Some((since, peer)) = self.by_time.first().cloned() {
            let silence = now.since(since);
            if silence < self.timeout {
                break;
            }
            self.forget(&peer);
            silent.push((peer, silence));
        }
        silent
    }

    /// When to look next; `None` while no one is watched.
    pub fn next_look(&self) -> Option<Time> {
        let (since, _) = self.by_time.first()?;
        Some((*since + self.timeout).min(self.looked_at + LOOK_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector() -> FailureDetector<u32> {
        FailureDetector::new(Duration::from_secs(8))
    }

    fn look(detector: &mut FailureDetector<u32>, from: u64, to: u64) -> Vec<u32> {
        (from..=to).step_by(1000).flat_map(|at| detector.silent(Time(at))).map(|(peer, _)| peer).collect()
    }

    #[test]
    fn silence_is_noticed_at_the_timeout_and_once() {
        let mut detector = detector();
        detector.heard(&1, Time(0));
        detector.heard(&2, Time(0));
        detector.heard(&2, Time(5000));
        assert!(look(&mut detector, 0, 7999).is_empty());
        assert_eq!(look(&mut detector, 8000, 12_000), [1]);
        assert_eq!(look(&mut detector, 12_000, 20_000), [2]);
        assert_eq!(detector.next_look(), None);
    }

    #[test]
    fn our_own_pause_is_not_held_against_anyone() {
        let mut detector = detector();
        detector.heard(&1, Time(0));
        assert!(look(&mut detector, 0, 2000).is_empty());
        assert!(detector.silent(Time(60_000)).is_empty());
        assert!(look(&mut detector, 61_000, 67_999).is_empty());
        assert_eq!(look(&mut detector, 68_000, 70_000), [1]);
    }
}

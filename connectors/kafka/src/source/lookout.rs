//! Partitions that come to be while the job runs.
//!
//! Each subtask looks out for a share of all that there may be, so that nobody has to hand them out. What a lookout knows is part of
//! its split: who goes on from a snapshot finds what is new since then, and nothing twice.

use std::{
    collections::BTreeSet,
    task::{Context, Poll, ready},
    time::Duration,
};

use flott::{Batch, Failure, ReadStatus, SplitReader, TaskResult};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    KafkaSplit, Part, Topics,
    listing::{self, Asked},
};
use crate::{
    error::KafkaResult,
    wire::{Cluster, spawn},
};

/// Where none is set: the program has stopped to look out since the snapshot was taken.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// A share of all partitions, and those of it that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    number: u32,
    of: u32,
    known: BTreeSet<(String, i32)>,
}

impl Share {
    /// So many shares, which know `partitions`.
    pub fn of(shares: u32, partitions: &[(String, i32)]) -> Vec<Self> {
        let shares = shares.max(1);
        let share = |number| {
            let mut share = Self { number, of: shares, known: BTreeSet::new() };
            share.known = partitions.iter().filter(|partition| share.has(partition)).cloned().collect();
            share
        };
        (0..shares).map(share).collect()
    }

    /// Whether a partition is in it: the partitions of a topic are dealt out in turn.
    fn has(&self, (topic, partition): &(String, i32)) -> bool {
        let first = topic.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        first.wrapping_add(partition.unsigned_abs()) % self.of.max(1) == self.number
    }

    /// What is new of `partitions`.
    fn fresh(&self, partitions: Vec<(String, i32)>) -> Vec<(String, i32)> {
        partitions.into_iter().filter(|partition| self.has(partition) && !self.known.contains(partition)).collect()
    }
}

/// Looks out for new partitions.
pub(super) struct Lookout {
    share: Share,
    news: mpsc::Receiver<KafkaResult<Vec<(String, i32, i64)>>>,
    looking: AbortHandle,
    found: Vec<KafkaSplit>,
}

impl Lookout {
    pub fn open(cluster: Cluster, topics: Topics, share: Share, each: Option<Duration>) -> Self {
        let (into, news) = mpsc::channel(1);
        let looking = spawn(look(cluster, topics, share.clone(), each.unwrap_or(NEVER), into)).abort_handle();
        Self { share, news, looking, found: Vec::new() }
    }
}

async fn look(
    cluster: Cluster,
    topics: Topics,
    mut share: Share,
    each: Duration,
    into: mpsc::Sender<KafkaResult<Vec<(String, i32, i64)>>>,
) {
    let mut beat = interval_at(Instant::now() + each, each.max(Duration::from_millis(1)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let found = look_once(&cluster, &topics, &share).await;
        match &found {
            Ok(found) if found.is_empty() => continue,
            Ok(found) => share.known.extend(found.iter().map(|(topic, partition, _)| (topic.clone(), *partition))),
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "looking for new partitions later");
                continue;
            }
            Err(_) => {}
        }
        if into.send(found).await.is_err() {
            return;
        }
    }
}

async fn look_once(cluster: &Cluster, topics: &Topics, share: &Share) -> KafkaResult<Vec<(String, i32, i64)>> {
    let mut found = Vec::new();
    for (topic, partition) in share.fresh(listing::partitions(cluster, topics).await?) {
        let first = listing::offset(cluster, (&topic, partition), Asked::Earliest, false).await?;
        tracing::info!(topic, partition, "a new partition");
        found.push((topic, partition, first));
    }
    Ok(found)
}

impl<T> SplitReader<T, KafkaSplit> for Lookout {
    fn poll_read(&mut self, cx: &mut Context<'_>, _: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let Some(found) = ready!(self.news.poll_recv(cx)) else {
            return Poll::Ready(Err(Box::new(Failure::internal("nobody looks for new partitions any more"))));
        };
        for (topic, partition, next) in found? {
            self.share.known.insert((topic.clone(), partition));
            self.found.push(KafkaSplit(Part::Partition { topic, partition, next, stop: None }));
        }
        Poll::Ready(Ok(ReadStatus::More))
    }

    fn gives_records(&self) -> bool {
        false
    }

    fn take_found(&mut self) -> Vec<KafkaSplit> {
        std::mem::take(&mut self.found)
    }

    fn remaining(&self) -> KafkaSplit {
        KafkaSplit(Part::Lookout(self.share.clone()))
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_partition_is_of_one_share(shares in 1u32..9, topic in "[a-z]{0,6}", partitions in 0i32..40, known in 0i32..40) {
            let all: Vec<_> = (0..partitions).map(|partition| (topic.clone(), partition)).collect();
            let known = &all[..(known.min(partitions)) as usize];
            let shares = Share::of(shares, known);
            let mut found: Vec<_> = shares.iter().flat_map(|share| share.fresh(all.clone())).collect();
            found.sort();
            prop_assert_eq!(found, &all[known.len()..]);
            let sizes = shares.iter().map(|share| share.known.len());
            prop_assert!(sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0) <= 1);
        }
    }
}

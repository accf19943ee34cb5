//! Which partitions there are, and which offsets they have.

use std::{fmt, sync::Arc, time::Duration};

use flott::TaskResult;
use futures::{StreamExt, TryStreamExt, stream};
use kafka_protocol::{
    messages::{
        GroupId, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::OffsetFetchRequestTopic,
    },
    protocol::StrBytes,
};

use super::{Offsets, StartFrom, StopAt};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Coordinated, NO_BROKER, Route, retrying, topic_name},
};

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Partitions that are asked for at the same time.
const AT_ONCE: usize = 16;

/// Which topics are read.
#[derive(Clone)]
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// All whose names the function says yes to.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(topics) => f.debug_tuple("Named").field(topics).finish(),
            Self::Matching(_) => f.write_str("Matching"),
        }
    }
}

impl Topics {
    /// All whose names `is_one` says yes to. New ones count from the next time that partitions are looked for.
    pub fn matching(is_one: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::Matching(Arc::new(is_one))
    }
}

impl From<&str> for Topics {
    fn from(topic: &str) -> Self {
        Self::Named(vec![topic.to_owned()])
    }
}

impl From<String> for Topics {
    fn from(topic: String) -> Self {
        Self::Named(vec![topic])
    }
}

impl<S: Into<String>> From<Vec<S>> for Topics {
    fn from(topics: Vec<S>) -> Self {
        Self::Named(topics.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Topics {
    fn from(topics: [S; N]) -> Self {
        Self::Named(topics.into_iter().map(Into::into).collect())
    }
}

/// All partitions, in order of topics.
pub(super) async fn partitions(cluster: &Cluster, topics: &Topics) -> KafkaResult<Vec<(String, i32)>> {
    let mut found = match topics {
        Topics::Named(names) => cluster.find_topics(names, PATIENCE).await?,
        Topics::Matching(is_one) => {
            let mut found = retrying(PATIENCE, async || cluster.topics(None).await).await?;
            found.retain(|topic| is_one(&topic.name));
            found
        }
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    let of = |topic: crate::wire::TopicMeta| {
        topic.partitions.into_iter().map(move |partition| (topic.name.clone(), partition))
    };
    Ok(found.into_iter().flat_map(of).collect())
}

/// An offset that the broker is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Earliest,
    Latest,
    Timestamp(i64),
}

/// An offset of a partition. The latest is behind what may be read: committed records only if that is so.
pub(super) async fn offset(
    cluster: &Cluster,
    (topic, partition): (&str, i32),
    asked: Asked,
    committed_only: bool,
) -> KafkaResult<i64> {
    let timestamp = match asked {
        Asked::Earliest => -2,
        Asked::Latest => -1,
        Asked::Timestamp(timestamp) => timestamp,
    };
    let of = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
    let request = ListOffsetsRequest::default()
        .with_replica_id(NO_BROKER)
        .with_isolation_level(i8::from(committed_only))
        .with_topics(vec![ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![of])]);
    let what = || format!("to look at the offsets of {topic}-{partition}");
    let answer = cluster.ask(Route::Leader(topic, partition), &request, PATIENCE, |answer| {
        match answer.topics.iter().flat_map(|topic| &topic.partitions).find(|found| found.error_code != 0) {
            None => Ok(()),
            Some(found) => Err(KafkaError::of_code(what(), found.error_code)),
        }
    });
    let found = answer.await?.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let found = found.ok_or_else(|| KafkaError::Malformed { what: what(), problem: "the answer is empty".into() })?;
    match (asked, found.offset) {
        // None is as young as that.
        (Asked::Timestamp(_), -1) => Box::pin(offset(cluster, (topic, partition), Asked::Latest, committed_only)).await,
        (_, offset) => Ok(offset),
    }
}

/// Where a group has come to.
pub(super) async fn committed(cluster: &Cluster, group: &str, partitions: &[(String, i32)]) -> KafkaResult<Offsets> {
    let mut by_topic: std::collections::BTreeMap<&str, Vec<i32>> = std::collections::BTreeMap::new();
    for (topic, partition) in partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        OffsetFetchRequestTopic::default().with_name(topic_name(topic)).with_partition_indexes(partitions)
    });
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_topics(Some(topics.collect()));
    let answer = cluster.ask(Route::Coordinator(Coordinated::Group, group), &request, PATIENCE, |answer| {
        let of_partitions = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|found| found.error_code);
        match of_partitions.chain([answer.error_code]).find(|code| *code != 0) {
            None => Ok(()),
            Some(code) => Err(KafkaError::of_code(format!("to look at where group {group:?} has come to"), code)),
        }
    });
    let mut offsets = Offsets::new();
    for topic in answer.await?.topics {
        for found in topic.partitions.iter().filter(|found| found.committed_offset >= 0) {
            offsets.set(topic.name.to_string(), found.partition_index, found.committed_offset);
        }
    }
    Ok(offsets)
}

/// Notes where a group has come to, for people and tools to see.
pub(super) async fn commit(cluster: &Cluster, group: &str, offsets: &Offsets, patience: Duration) -> KafkaResult {
    let topics = offsets.topics().map(|(topic, partitions)| {
        let partitions = partitions.iter().map(|(partition, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
        });
        OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions.collect())
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect());
    let answer = cluster.ask(Route::Coordinator(Coordinated::Group, group), &request, patience, |answer| match answer
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .find(|found| found.error_code != 0)
    {
        None => Ok(()),
        Some(found) => Err(KafkaError::of_code(format!("to note where group {group:?} has come to"), found.error_code)),
    });
    answer.await.map(drop)
}

/// Where each of `partitions` begins and ends.
pub(super) async fn bounds(
    cluster: &Cluster,
    partitions: Vec<(String, i32)>,
    start: &StartFrom,
    stop: &StopAt,
    group: Option<&str>,
    committed_only: bool,
) -> TaskResult<Vec<(String, i32, i64, Option<i64>)>> {
    let of_group = match (group, wants_group(start)) {
        (Some(group), true) => committed(cluster, group, &partitions).await?,
        (_, false) | (None, true) => Offsets::new(),
    };
    let of_group = &of_group;
    let resolved = stream::iter(partitions)
        .map(|(topic, partition)| async move {
            let ask = |asked| offset(cluster, (&topic, partition), asked, committed_only);
            let begin = match resolve(start, &topic, partition, of_group) {
                Resolved::At(offset) => offset,
                Resolved::Ask(asked) => ask(asked).await?,
            };
            let end = match stop {
                StopAt::Never => None,
                StopAt::Latest => Some(ask(Asked::Latest).await?),
                StopAt::Timestamp(timestamp) => {
                    let latest = ask(Asked::Latest).await?;
                    Some(ask(Asked::Timestamp(*timestamp)).await?.min(latest))
                }
                StopAt::Offsets(offsets) => Some(match offsets.get(&topic, partition) {
                    Some(offset) => offset,
                    None => ask(Asked::Latest).await?,
                }),
            };
            KafkaResult::Ok((topic, partition, begin, end))
        })
        .buffered(AT_ONCE);
    Ok(resolved.try_collect().await?)
}

fn wants_group(start: &StartFrom) -> bool {
    match start {
        StartFrom::Committed { .. } => true,
        StartFrom::Offsets { otherwise, .. } => wants_group(otherwise),
        StartFrom::Earliest | StartFrom::Latest | StartFrom::Timestamp(_) => false,
    }
}

/// What is known without asking.
#[derive(Debug, PartialEq, Eq)]
enum Resolved {
    At(i64),
    Ask(Asked),
}

fn resolve(start: &StartFrom, topic: &str, partition: i32, of_group: &Offsets) -> Resolved {
    let (known, otherwise) = match start {
        StartFrom::Earliest => return Resolved::Ask(Asked::Earliest),
        StartFrom::Latest => return Resolved::Ask(Asked::Latest),
        StartFrom::Timestamp(timestamp) => return Resolved::Ask(Asked::Timestamp(*timestamp)),
        StartFrom::Committed { otherwise } => (of_group.get(topic, partition), otherwise),
        StartFrom::Offsets { offsets, otherwise } => (offsets.get(topic, partition), otherwise),
    };
    known.map_or_else(|| resolve(otherwise, topic, partition, of_group), Resolved::At)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &StartFrom, partition: i32, expected: &Resolved) {
        let group = Offsets::new().with("t", 1, 10);
        assert_eq!(resolve(start, "t", partition, &group), *expected);
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let committed = StartFrom::Committed { otherwise: Box::new(StartFrom::Latest) };
        check(&committed, 1, &Resolved::At(10));
        check(&committed, 2, &Resolved::Ask(Asked::Latest));
        let given = StartFrom::Offsets { offsets: Offsets::new().with("t", 2, 7), otherwise: Box::new(committed) };
        check(&given, 2, &Resolved::At(7));
        check(&given, 1, &Resolved::At(10));
        check(&given, 0, &Resolved::Ask(Asked::Latest));
        check(&StartFrom::Timestamp(5), 1, &Resolved::Ask(Asked::Timestamp(5)));
    }
}

//! Makes a cluster: the head, asleep; all that belongs to it; and then the head is woken.
//!
//! Whoever makes the head has the name. A head that sleeps and does not change for a while was left by a client that died,
//! and is removed by the next one. A client that was only slow finds that its head is gone, and gives up.

use std::time::{Duration, Instant};

use super::{
    error::ClusterError,
    find,
    head::{Head, HeadKind, HeadState},
    manifest,
    objects::{Object, Objects},
    remove,
    spec::{ClusterSpec, Work},
};
use crate::{client::Connection, labels};

/// A head that has slept for so long, without any change, was left behind.
const ABANDONED_AFTER: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(150);
/// How long what an earlier cluster of the name has left may take to go.
const LEFTOVERS_MAX: Duration = Duration::from_secs(60);

/// What is worth a word while a cluster is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another client is making one of this name, or has left it half made.
    OtherMaker,
    /// What such a client has left is removed.
    Abandoned,
    /// An earlier one of this name goes.
    Leftovers,
}

/// Makes the cluster; its JobManager starts. `maker` tells this client apart from others.
///
/// # Errors
/// [`ClusterError::Taken`] when the name is, [`ClusterError::Lost`] when somebody removes it meanwhile. Unless it says
/// otherwise, nothing that was made is left.
pub async fn create(
    connection: &Connection,
    spec: &ClusterSpec,
    maker: &str,
    mut tell: impl FnMut(Progress),
) -> Result<Head, ClusterError> {
    let head = claim(connection, spec, maker, &mut tell).await?;
    match complete(connection, spec, &head, &mut tell).await {
        Ok(()) => Ok(head),
        Err(error) => {
            remove::behead(connection, &head).await?;
            Err(error)
        }
    }
}

/// Makes the head, when nothing else has the name.
async fn claim(
    connection: &Connection,
    spec: &ClusterSpec,
    maker: &str,
    tell: &mut impl FnMut(Progress),
) -> Result<Head, ClusterError> {
    let kind = match spec.work {
        Work::Session => HeadKind::Deployment,
        Work::Awaited { .. } | Work::Program(_) => HeadKind::Job,
    };
    let heads = find::heads_of(connection, kind);
    let wanted = manifest::head(spec, maker);
    let mut told = Once::default();
    let mut sleeper = Sleeper::default();
    let begun = Instant::now();
    loop {
        let Some(found) = find::heads(connection, &spec.id).await?.into_iter().next() else {
            if let Some(made) = heads.create(&wanted).await? {
                return Ok(Head::read(kind, &spec.id, &made));
            }
            // Another client was quicker; its head is seen next, unless it goes as fast as it comes.
            if begun.elapsed() >= LEFTOVERS_MAX {
                return Err(taken(spec, "something of that name comes and goes".to_owned()));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            continue;
        };
        match &found.state {
            // The answer to the request that made it was lost.
            HeadState::Creating if found.maker.as_deref() == Some(maker) => return Ok(found),
            HeadState::Creating if sleeper.is_abandoned(&found, Instant::now()) => {
                tell(Progress::Abandoned);
                remove::behead(connection, &found).await?;
                remove::until_gone(connection, &spec.id).await?;
            }
            HeadState::Creating => told.tell(Progress::OtherMaker, tell),
            HeadState::Finished => {
                told.tell(Progress::Leftovers, tell);
                remove::behead(connection, &found).await?;
                remove::until_gone(connection, &spec.id).await?;
            }
            HeadState::Deleting if begun.elapsed() < LEFTOVERS_MAX => told.tell(Progress::Leftovers, tell),
            HeadState::Deleting => return Err(taken(spec, "an earlier one is still being removed".to_owned())),
            HeadState::Whole => {
                let by = format!("a {} of that name runs; `flott session stop` removes it", found.kind.noun());
                return Err(taken(spec, by));
            }
            HeadState::Foreign(why) => return Err(taken(spec, why.clone())),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn taken(spec: &ClusterSpec, by: String) -> ClusterError {
    ClusterError::Taken { cluster: spec.id.clone(), namespace: spec.namespace.clone(), by }
}

/// Makes all the rest, and wakes the head.
async fn complete(
    connection: &Connection,
    spec: &ClusterSpec,
    head: &Head,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ClusterError> {
    for object in manifest::others(spec, head) {
        make(connection, spec, head, &object, tell).await?;
    }
    let patch = manifest::awakening(spec, &head.uid);
    let woken = find::heads_of(connection, head.kind).patch(&head.name, &patch).await?;
    match woken {
        Some(woken) if woken.metadata.deletion_timestamp.is_none() => Ok(()),
        Some(_) | None => Err(ClusterError::Lost { cluster: spec.id.clone() }),
    }
}

/// Makes one object that belongs to the head. One of an earlier cluster is waited for to go.
async fn make(
    connection: &Connection,
    spec: &ClusterSpec,
    head: &Head,
    object: &Object,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ClusterError> {
    let objects = Objects::new(connection, &object.kind);
    let begun = Instant::now();
    let mut told = Once::default();
    loop {
        if objects.create(object).await?.is_some() {
            return Ok(());
        }
        let Some(found) = objects.get(&object.name).await? else { continue };
        let owners = found.metadata.owner_references.unwrap_or_default();
        if owners.iter().any(|owner| owner.uid == head.uid) {
            // The answer to an earlier request was lost.
            return Ok(());
        }
        let labels = found.metadata.labels.unwrap_or_default();
        if labels.get(labels::MANAGED_BY).map(String::as_str) != Some("flott") {
            return Err(taken(spec, format!("there is a {} that belongs to no Flott cluster", object.shown())));
        }
        let others = find::heads(connection, &spec.id).await?;
        let is_owner = |other: &Head| other.uid != head.uid && owners.iter().any(|owner| owner.uid == other.uid);
        if let Some(other) = others.iter().find(|other| is_owner(other) && other.state != HeadState::Deleting) {
            return Err(taken(spec, format!("its {} belongs to a {}", object.shown(), other.kind.noun())));
        }
        if begun.elapsed() >= LEFTOVERS_MAX {
            return Err(taken(spec, format!("the {} of an earlier one is still there", object.shown())));
        }
        // Its head is gone. The garbage collector would come for it too.
        told.tell(Progress::Leftovers, tell);
        objects.delete(&object.name, &found.metadata.uid.unwrap_or_default()).await?;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Tells a thing once.
#[derive(Default)]
struct Once(Option<Progress>);

impl Once {
    fn tell(&mut self, progress: Progress, tell: &mut impl FnMut(Progress)) {
        if self.0 != Some(progress) {
            self.0 = Some(progress);
            tell(progress);
        }
    }
}

/// For how long a head was seen asleep and unchanged. By this clock alone, whatever others say the time is.
#[derive(Debug, Default)]
struct Sleeper {
    seen: Option<(String, String, Instant)>,
}

impl Sleeper {
    fn is_abandoned(&mut self, head: &Head, now: Instant) -> bool {
        match &self.seen {
            Some((uid, version, since)) if *uid == head.uid && *version == head.version => {
                now.duration_since(*since) >= ABANDONED_AFTER
            }
            Some(_) | None => {
                self.seen = Some((head.uid.clone(), head.version.clone(), now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_sleeps_unchanged_is_abandoned_after_a_while() {
        let head = |uid: &str, version: &str| Head {
            kind: HeadKind::Job,
            name: "demo".into(),
            uid: uid.into(),
            version: version.into(),
            maker: Some("other".into()),
            state: HeadState::Creating,
        };
        let begun = Instant::now();
        let mut sleeper = Sleeper::default();
        let mut check = |head: Head, after: Duration, expected: bool| {
            assert_eq!(sleeper.is_abandoned(&head, begun + after), expected, "{head:?} after {after:?}");
        };
        check(head("a", "1"), Duration::ZERO, false);
        check(head("a", "1"), ABANDONED_AFTER / 2, false);
        check(head("a", "2"), ABANDONED_AFTER, false);
        check(head("b", "2"), ABANDONED_AFTER * 2, false);
        check(head("b", "2"), ABANDONED_AFTER * 3, true);
    }
}

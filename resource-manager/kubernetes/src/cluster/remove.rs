//! Removes a cluster, and waits until nothing of it is left.

use std::time::{Duration, Instant};

use super::{
    error::ClusterError,
    find,
    head::{Head, HeadState},
};
use crate::{client::Connection, error::ApiError, names::ClusterId};

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(150);
/// How long everything may take to go: the grace of pods, and time for the garbage collector.
pub const REMOVAL_MAX: Duration = Duration::from_secs(120);

/// Removes every cluster of that name, whole or not. Gives the head that was removed; `None` if there was nothing.
///
/// # Errors
/// [`ClusterError::Taken`] for what is not this client's to remove, [`ClusterError::Remains`] when it does not go in time.
pub async fn remove(connection: &Connection, cluster: &ClusterId) -> Result<Option<Head>, ClusterError> {
    let heads = find::heads(connection, cluster).await?;
    let foreign = heads.iter().find_map(|head| match &head.state {
        HeadState::Foreign(why) => Some(why.clone()),
        HeadState::Creating | HeadState::Whole | HeadState::Finished | HeadState::Deleting => None,
    });
    if let Some(by) = foreign {
        return Err(ClusterError::Taken { cluster: cluster.clone(), namespace: connection.namespace.clone(), by });
    }
    for head in &heads {
        behead(connection, head).await?;
    }
    until_gone(connection, cluster).await?;
    Ok(heads.into_iter().next())
}

/// Deletes a head; what belongs to it goes after it.
///
/// # Errors
/// When the API server does not do it.
pub async fn behead(connection: &Connection, head: &Head) -> Result<(), ApiError> {
    find::heads_of(connection, head.kind).delete(&head.name, &head.uid).await
}

/// Waits until nothing of a cluster is left whose head was deleted.
///
/// # Errors
/// [`ClusterError::Remains`] when that takes too long.
pub async fn until_gone(connection: &Connection, cluster: &ClusterId) -> Result<(), ClusterError> {
    let begun = Instant::now();
    loop {
        let heads = find::heads(connection, cluster).await?;
        let heads = heads.iter().filter(|head| matches!(head.state, HeadState::Deleting));
        let mut left: Vec<_> = heads.map(|head| format!("{} {:?}", head.kind.as_str(), head.name)).collect();
        left.extend(find::remains(connection, cluster).await?);
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= REMOVAL_MAX {
            let (cluster, left) = (cluster.clone(), left.join(", "));
            return Err(ClusterError::Remains { cluster, left, waited: REMOVAL_MAX });
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

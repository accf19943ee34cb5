//! Aborts what writers have left open that nobody commits any more: who reads committed records only would wait for it.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kafka_protocol::{messages::ListTransactionsRequest, protocol::StrBytes};

use super::{
    commit,
    transaction::{Prepared, TransactionName},
};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Route, retrying},
};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long others are begun with after one that has failed: it may have taken [`PATIENCE`], and so may each that the same broker
/// has.
const GO_ON: Duration = Duration::from_secs(40);

/// Attempts whose last words may still be on their way to the brokers.
const LATE_MAX: usize = 16;

const OPEN: &str = "Ongoing";
/// A name that somebody has asked for, and under which nothing was begun.
const BEGUN: &str = "Empty";

/// Aborts what is open under the names that `pick` knows, but for what was `decided` to be committed. The last word of an
/// attempt that was killed may come after this, and would begin a transaction under a name that it had asked for: so these names are
/// taken as well, and the word is refused.
///
/// # Errors
/// When brokers cannot be asked, or refuse: the first error. The rest is aborted all the same, as far as there is time.
pub(super) async fn sweep(
    cluster: &Cluster,
    pick: impl Fn(&str) -> Option<TransactionName> + Sync,
    decided: &[Prepared],
    timeout: Duration,
) -> KafkaResult {
    let mut left = retrying(PATIENCE, async || left(cluster, &pick).await).await?;
    let attempt = |name: &TransactionName| (name.writer.epoch, name.writer.attempt);
    // What readers wait for comes first, and of that the latest attempts.
    left.sort_by_key(|(name, is_open)| Reverse((*is_open, attempt(name))));
    let attempts: BTreeSet<_> = left.iter().map(|(name, _)| attempt(name)).collect();
    let late: BTreeSet<_> = attempts.into_iter().rev().take(LATE_MAX).collect();
    let (begun, mut swept) = (Instant::now(), Ok(()));
    for (name, is_open) in left {
        if !(is_open || late.contains(&attempt(&name))) {
            continue;
        }
        if let Err(error) = abort(cluster, &name.to_string(), is_open, decided, timeout).await {
            tracing::warn!(transaction = %name, %error, "what an earlier attempt has left cannot be aborted");
            // The first error says most.
            swept = swept.and(Err(error));
        }
        if swept.is_err() && begun.elapsed() > GO_ON {
            break;
        }
    }
    swept
}

/// Aborts what is under one name, unless it is to be committed.
async fn abort(cluster: &Cluster, id: &str, is_open: bool, decided: &[Prepared], timeout: Duration) -> KafkaResult {
    if is_decided(cluster, id, decided).await? {
        return Ok(());
    }
    if is_open {
        tracing::info!(transaction = id, "aborting what an earlier attempt has left open");
    }
    commit::take_over(cluster, id, timeout).await.map(drop)
}

/// Names under which something is open, or may be in a moment.
async fn left(
    cluster: &Cluster,
    pick: &(impl Fn(&str) -> Option<TransactionName> + Sync),
) -> KafkaResult<Vec<(TransactionName, bool)>> {
    let request = ListTransactionsRequest::default()
        .with_state_filters([OPEN, BEGUN].map(StrBytes::from_static_str).to_vec())
        .with_duration_filter(-1);
    let mut left = Vec::new();
    for broker in cluster.brokers().await? {
        let answer = cluster.find(&Route::Broker(&broker)).await?.ask(&request).await?;
        if answer.error_code != 0 {
            return Err(KafkaError::of_code("to list transactions", answer.error_code));
        }
        let states = answer.transaction_states.iter();
        left.extend(states.filter_map(|state| {
            pick(&state.transactional_id).map(|name| (name, state.transaction_state.as_str() == OPEN))
        }));
    }
    Ok(left)
}

/// Whether what is under this name now is to be committed. The snapshot may know the name for an earlier transaction: it was
/// committed, and the name used again.
async fn is_decided(cluster: &Cluster, id: &str, decided: &[Prepared]) -> KafkaResult<bool> {
    if decided.iter().all(|decided| decided.id != id) {
        return Ok(false);
    }
    let state = commit::state_of(cluster, id).await?;
    // What nobody knows any more has ended.
    Ok(state.is_none_or(|state| decided.iter().any(|decided| commit::is_of(&state, decided))))
}

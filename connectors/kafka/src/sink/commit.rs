//! Prepared transactions are committed, by whoever has their ids and epochs; and what has become of those that are gone.

use std::time::Duration;

use flott::{Failure, TaskResult};
use kafka_protocol::{
    messages::{
        DescribeTransactionsRequest, EndTxnRequest, FetchRequest, ProducerId, TransactionalId,
        describe_transactions_response::TransactionState,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

use super::transaction::{Place, Prepared};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Coordinated, NO_BROKER, Route, topic_name},
};

/// How long one transaction is tried; the JobMaster has the whole commit repeated.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn transactional_id(id: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(id.to_owned()))
}

/// Ends a transaction.
pub(super) async fn end(cluster: &Cluster, transaction: &Prepared, committed: bool, patience: Duration) -> KafkaResult {
    let request = EndTxnRequest::default()
        .with_transactional_id(transactional_id(&transaction.id))
        .with_producer_id(ProducerId(transaction.producer_id))
        .with_producer_epoch(transaction.epoch)
        .with_committed(committed);
    let route = Route::Coordinator(Coordinated::Transaction, &transaction.id);
    let ended = cluster.ask(route, &request, patience, |answer| match answer.error_code {
        0 => Ok(()),
        code => Err(KafkaError::of_code(format!("transaction {:?}", transaction.id), code)),
    });
    ended.await.map(drop)
}

/// Commits `transaction`. Done before, it is done again without harm: a coordinator that has committed it says so as long as
/// it knows the id by this epoch, and later its records tell.
///
/// # Errors
/// When it cannot be told yet, and for good when the broker has aborted it.
pub(super) async fn commit(cluster: &Cluster, transaction: &Prepared) -> TaskResult {
    let refused = match end(cluster, transaction, true, PATIENCE).await {
        Ok(()) => return visible(cluster, transaction).await,
        Err(refused @ KafkaError::Fenced { .. }) => refused,
        Err(other) => return Err(other.into()),
    };
    match fate(cluster, transaction).await? {
        Fate::Committed => Ok(()),
        Fate::Gone => {
            tracing::warn!(
                transaction = %transaction.id, %refused,
                "whether it was committed cannot be told any more: its records have left the topic by retention"
            );
            Ok(())
        }
        Fate::Open => {
            Err(Box::new(Failure::environment("the broker is still ending the transaction").caused_by(&refused)))
        }
        Fate::Aborted => {
            let message = format!(
                "the broker has aborted transaction {:?} with {} records of a complete checkpoint before it could be committed: it \
                 was open for longer than its timeout. They are lost, unless the job starts from an earlier checkpoint. Raise \
                 transaction_timeout of the sink above the longest time from one checkpoint to the restart behind the next",
                transaction.id, transaction.records
            );
            Err(Box::new(Failure::user(message).caused_by(&refused).fatal()))
        }
    }
}

/// Waits until readers see it: the coordinator answers when it has decided, and tells the partitions afterwards. Until then it
/// puts off who asks again.
async fn visible(cluster: &Cluster, transaction: &Prepared) -> TaskResult {
    match end(cluster, transaction, true, PATIENCE).await {
        // The writer has seen it, and uses the name again.
        Ok(()) | Err(KafkaError::Fenced { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// What has become of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    Aborted,
    /// It has not ended.
    Open,
    /// Its records are gone, and so is what would tell.
    Gone,
}

/// Finds out by the log itself what has become of a transaction: the coordinator forgets it when its id is used again, and after
/// some days, but the log keeps as long as the records which of them were aborted.
pub(super) async fn fate(cluster: &Cluster, transaction: &Prepared) -> KafkaResult<Fate> {
    let Some(Place { topic, partition, offset }) = &transaction.first else { return Ok(Fate::Gone) };
    /// Read-committed: the answer names the aborted transactions of the records in it.
    const READ_COMMITTED: i8 = 1;
    let asked = FetchPartition::default()
        .with_partition(*partition)
        .with_fetch_offset(*offset)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(1);
    let request = FetchRequest::default()
        .with_replica_id(NO_BROKER)
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(1)
        .with_isolation_level(READ_COMMITTED)
        .with_session_epoch(-1)
        .with_topics(vec![FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![asked])]);
    let what = || format!("to look at {topic}-{partition}");
    let out_of_range = kafka_protocol::ResponseError::OffsetOutOfRange.code();
    let answer = cluster
        .ask(Route::Leader(topic, *partition), &request, PATIENCE, |answer| {
            let code = answer.responses.iter().flat_map(|topic| &topic.partitions).map(|found| found.error_code).next();
            match code.unwrap_or(answer.error_code) {
                0 => Ok(()),
                code if code == out_of_range => Ok(()),
                code => Err(KafkaError::of_code(what(), code)),
            }
        })
        .await;
    let answer = match answer {
        Err(KafkaError::Unknown { .. }) => return Ok(Fate::Gone),
        other => other?,
    };
    let Some(found) = answer.responses.into_iter().flat_map(|topic| topic.partitions).next() else {
        return Err(KafkaError::Malformed { what: what(), problem: "the answer has no partition".into() });
    };
    if found.error_code == out_of_range {
        return Ok(Fate::Gone);
    }
    if found.last_stable_offset <= *offset {
        return Ok(Fate::Open);
    }
    let aborted = found.aborted_transactions.unwrap_or_default();
    let ours = aborted.iter().any(|of| of.producer_id.0 == transaction.producer_id && of.first_offset == *offset);
    Ok(if ours { Fate::Aborted } else { Fate::Committed })
}

/// What the coordinator knows under a name, if anything.
pub(super) async fn state_of(cluster: &Cluster, id: &str) -> KafkaResult<Option<TransactionState>> {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id(id)]);
    let route = Route::Coordinator(Coordinated::Transaction, id);
    let unknown = kafka_protocol::ResponseError::TransactionalIdNotFound.code();
    let answer = cluster.ask(route, &request, PATIENCE, |answer| {
        let code = answer.transaction_states.first().map_or(0, |state| state.error_code);
        if code == 0 || code == unknown {
            return Ok(());
        }
        Err(KafkaError::of_code(format!("to look at transaction {id:?}"), code))
    });
    let state = answer.await?.transaction_states.into_iter().next();
    Ok(state.filter(|state| state.error_code == 0))
}

/// Whether it is this transaction that the coordinator tells of, and no earlier or later one under its name.
pub(super) fn is_of(state: &TransactionState, transaction: &Prepared) -> bool {
    (state.producer_id.0, state.producer_epoch) == (transaction.producer_id, transaction.epoch)
}

/// Which of `transactions` still wait for the word.
///
/// # Errors
/// When the coordinators cannot be asked, or when one of them was aborted.
pub(super) async fn still_open(cluster: &Cluster, transactions: Vec<Prepared>) -> KafkaResult<Vec<Prepared>> {
    let mut open = Vec::new();
    for transaction in transactions {
        let state = state_of(cluster, &transaction.id).await?;
        match state {
            Some(state) if is_of(&state, &transaction) => match state.transaction_state.as_str() {
                "CompleteCommit" | "PrepareCommit" => {}
                "Ongoing" => open.push(transaction),
                other => return Err(lost(&transaction, other)),
            },
            // Its id has another epoch, or is forgotten.
            _ => match fate(cluster, &transaction).await? {
                Fate::Committed | Fate::Gone => {}
                Fate::Open => open.push(transaction),
                Fate::Aborted => return Err(lost(&transaction, "aborted")),
            },
        }
    }
    Ok(open)
}

fn lost(transaction: &Prepared, state: &str) -> KafkaError {
    KafkaError::Fenced {
        what: format!("transaction {:?}, which was prepared for a checkpoint,", transaction.id),
        code: format!("it is {state}; is transaction_timeout longer than checkpoints take?"),
    }
}

/// Commits all of `prepared`; tries each, and tells the first failure.
pub(super) async fn commit_all(cluster: &Cluster, prepared: &[Prepared]) -> TaskResult {
    let mut outcome = Ok(());
    for transaction in prepared {
        outcome = outcome.and(commit(cluster, transaction).await);
    }
    outcome
}

/// Takes the place of the producer of `id`: what it had open is aborted, and it can write no more. Gives the new id and
/// epoch.
pub(super) async fn take_over(cluster: &Cluster, id: &str, timeout: Duration) -> KafkaResult<(i64, i16)> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let request = kafka_protocol::messages::InitProducerIdRequest::default()
        .with_transactional_id(Some(transactional_id(id)))
        .with_transaction_timeout_ms(timeout_ms)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let invalid = kafka_protocol::ResponseError::InvalidTransactionTimeout.code();
    let answer =
        cluster.ask(Route::Coordinator(Coordinated::Transaction, id), &request, PATIENCE, |answer| {
            match answer.error_code {
                0 => Ok(()),
                code if code == invalid => Err(KafkaError::Timeout { timeout }),
                code => Err(KafkaError::of_code(format!("to begin transactions as {id:?}"), code)),
            }
        });
    let answer = answer.await?;
    Ok((answer.producer_id.0, answer.producer_epoch))
}

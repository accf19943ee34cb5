//! One of each message that job processes say or hear. Each comes behind the one that it is given, the first behind none: a variant that
//! is added does not compile before it has its place here, and so its bytes among those that the number of the protocol stands for.

use super::*;

/// What a job process says to its JobMaster.
fn said(last: Option<&HostToJob>) -> Option<(&'static str, HostToJob)> {
    let source = OperatorId::from_uid("source");
    Some(match last {
        None => ("task-state", HostToJob::TaskState(Box::new(state_change()))),
        Some(HostToJob::TaskState(_)) => ("metrics", HostToJob::Metrics(vec![(attempt(), figures()); 2])),
        Some(HostToJob::Metrics(_)) => ("request-split", HostToJob::RequestSplit { attempt: attempt(), source }),
        Some(HostToJob::RequestSplit { .. }) => {
            let splits = vec![Bytes::from_static(b"split"), Bytes::new()];
            ("splits-enumerated", HostToJob::SplitsEnumerated { attempt: attempt(), source, result: Ok(splits) })
        }
        Some(HostToJob::SplitsEnumerated { .. }) => {
            let (group, watermark) = ("group".to_owned(), Some(-1));
            ("source-watermark", HostToJob::SourceWatermark { attempt: attempt(), group, watermark })
        }
        Some(HostToJob::SourceWatermark { .. }) => ("snapshotted", snapshot(Ok(state()))),
        Some(HostToJob::Snapshot(_)) => {
            ("committed", HostToJob::Committed { round: 1, result: Ok(vec![failure(); 2]) })
        }
        Some(HostToJob::Committed { .. }) => ("aborted", HostToJob::Aborted { result: Err(failure()) }),
        Some(HostToJob::Aborted { .. }) => return None,
    })
}

/// What it hears from there.
fn heard(last: Option<&JobToHost>) -> Option<(&'static str, JobToHost)> {
    let source = OperatorId::from_uid("source");
    Some(match last {
        None => ("deploy", JobToHost::Deploy(Box::new(deployment()))),
        Some(JobToHost::Deploy(_)) => ("cancel-attempt", JobToHost::Cancel(vec![attempt()])),
        Some(JobToHost::Cancel(_)) => {
            ("enumerate-splits", JobToHost::EnumerateSplits { attempt: attempt(), source, parallelism: 2 })
        }
        Some(JobToHost::EnumerateSplits { .. }) => {
            let split = Some(Bytes::from_static(b"split"));
            ("assign-split", JobToHost::AssignSplit { attempt: attempt(), source, split, share: 3 })
        }
        Some(JobToHost::AssignSplit { .. }) => {
            ("group-watermark", JobToHost::GroupWatermark { attempt: attempt(), watermark: Some(i64::MIN) })
        }
        Some(JobToHost::GroupWatermark { .. }) => {
            let directory = Some("/savepoints/savepoint-1".to_owned());
            ("snapshot", JobToHost::Snapshot { barrier: barrier(), attempts: vec![attempt()], directory })
        }
        Some(JobToHost::Snapshot { .. }) => {
            ("abort-checkpoints", JobToHost::AbortCheckpoints { first: CheckpointId(7), last: CheckpointId(9) })
        }
        Some(JobToHost::AbortCheckpoints { .. }) => {
            ("commit", JobToHost::Commit { round: 1, committables: vec![committable()] })
        }
        Some(JobToHost::Commit { .. }) => {
            let kept = [(OperatorId::from_uid("sink"), vec![Bytes::from_static(b"part-0")])].into();
            ("abort", JobToHost::Abort { kept })
        }
        Some(JobToHost::Abort { .. }) => return None,
    })
}

/// What it says to its TaskManager.
fn said_here(last: Option<&HostToWorker>) -> Option<(&'static str, HostToWorker)> {
    Some(match last {
        None => ("host-ready", HostToWorker::Ready { process: PROCESS, data_address: location().data_address }),
        Some(HostToWorker::Ready { .. }) => ("host-unfit", HostToWorker::Unfit(failure())),
        Some(HostToWorker::Unfit(_)) => ("host-says", HostToWorker::Job(HostToJob::Metrics(Vec::new()))),
        Some(HostToWorker::Job(_)) => {
            ("host-usage", HostToWorker::Usage { running: vec![(VertexId::from_bytes([3; 16]), 2)] })
        }
        Some(HostToWorker::Usage { .. }) => return None,
    })
}

/// What it hears from there.
fn heard_here(last: Option<&WorkerToHost>) -> Option<(&'static str, WorkerToHost)> {
    Some(match last {
        None => ("cancel", WorkerToHost::Job(JobToHost::Cancel(vec![attempt()]))),
        Some(WorkerToHost::Job(_)) => ("shutdown", WorkerToHost::Shutdown),
        Some(WorkerToHost::Shutdown) => return None,
    })
}

/// All of one sort.
fn chain<T>(next: impl Fn(Option<&T>) -> Option<(&'static str, T)>) -> Vec<(&'static str, T)> {
    let mut all: Vec<(&'static str, T)> = Vec::new();
    while let Some(more) = next(all.last().map(|(_, message)| message)) {
        all.push(more);
    }
    all
}

/// All of them, by name.
pub fn encoded() -> Vec<(&'static str, Vec<u8>)> {
    let failed = [("not-snapshotted", snapshot(Err(failure())))];
    let said = chain(said).into_iter().chain(failed).map(|(name, message)| (name, encode(&from_host(message))));
    let heard = chain(heard).into_iter().map(|(name, message)| (name, encode(&to_host(message))));
    let said_here = chain(said_here).into_iter().map(|(name, message)| (name, encode(&message)));
    let heard_here = chain(heard_here).into_iter().map(|(name, message)| (name, encode(&message)));
    said.chain(heard).chain(said_here).chain(heard_here).collect()
}

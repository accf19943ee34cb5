//! News of what is no more.

use flott_core::{
    failure::Failure,
    id::ProcessId,
    message::{ProcessLocation, WorkerToJob},
};

use super::*;

/// News of another life than the one that runs changes nothing.
#[track_caller]
fn check_old_news(news: impl FnOnce(ProcessLocation) -> WorkerToJob) {
    let mut cluster = running(word_count(), ONCE);
    let worker = cluster.workers.keys().next().unwrap().clone();
    let mut location = cluster.workers[&worker].process().unwrap().clone();
    location.process = ProcessId::from_bytes([99; 16]);
    let alive: Vec<_> = cluster.live().collect();
    let epoch = cluster.core.spec().epoch;
    cluster.inject(&worker, epoch, news(location));
    cluster.settle();
    assert_eq!(cluster.core.status(), JobStatus::Running);
    assert_eq!(cluster.live().collect::<Vec<_>>(), alive);
    cluster.run_to_end();
    check_ended(&mut cluster, JobStatus::Finished);
    assert_eq!(cluster.ended[0].restarts, 0);
}

#[test]
fn old_news_of_another_life_changes_nothing() {
    check_old_news(WorkerToJob::ProcessReady);
    check_old_news(|location| {
        let failure = Failure::environment("the job process was killed by signal 9");
        WorkerToJob::ProcessLost { process: location.process, failure }
    });
}

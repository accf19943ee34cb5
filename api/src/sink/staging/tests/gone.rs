//! Files that are not where a commit looks for them.

use flott_core::failure::{Domain, Retry};

use super::*;

fn told(directory: &Path, prepared: &[Bytes]) -> Vec<String> {
    let told = commit(directory, OTHER, prepared, Others::Keep, Reach::Top).unwrap();
    told.into_iter().map(|told| told.message).collect()
}

#[test]
fn files_of_a_snapshot_that_are_gone_with_their_job_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    assert_eq!(told(dir.path(), &prepared), [""; 0]);
    fs::remove_file(dir.path().join("part-1")).unwrap();
    let message = told(dir.path(), &prepared).concat();
    assert!(message.starts_with("1 files") && message.contains("part-1"), "{message}");

    let removed = tempfile::tempdir().unwrap();
    let prepared = stage(removed.path(), JOB, &["a", "b"]);
    abort(removed.path(), JOB, &[]).unwrap();
    let message = told(removed.path(), &prepared).concat();
    assert!(message.starts_with("2 files") && message.contains("part-0"), "{message}");
}

#[test]
fn nothing_is_told_of_files_that_a_reader_takes_away_while_their_job_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut prepared = stage_at_barrier(dir.path(), 0, "a");
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    fs::remove_file(dir.path().join(at_barrier(0))).unwrap();
    prepared.extend(stage_at_barrier(dir.path(), 1, "b"));
    assert_eq!(told(dir.path(), &prepared), [""; 0]);
    assert!(dir.path().join(at_barrier(1)).exists());
}

/// Nobody mends it, so it is not waited for.
#[test]
fn a_file_of_the_job_itself_that_is_gone_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a"]);
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    fs::remove_file(dir.path().join("part-0")).unwrap();
    let failure = commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap_err();
    assert_eq!((failure.domain, failure.retry), (Domain::User, Retry::Restart));
    assert!(failure.message.contains("part-0: it was taken away"), "{failure}");
}

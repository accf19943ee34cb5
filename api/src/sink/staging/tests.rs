use std::collections::BTreeMap;

use super::{part::move_to, *};

const JOB: JobId = JobId::from_bytes([1; 16]);
const OTHER: JobId = JobId::from_bytes([2; 16]);

/// Stages these files of a job, by subtask.
fn stage(directory: &Path, job: JobId, contents: &[&str]) -> Vec<Bytes> {
    let staging = staging(directory, job);
    fs::create_dir_all(&staging).unwrap();
    let staged = contents.iter().enumerate().map(|(subtask, content)| {
        let file = format!("part-{subtask}-0");
        fs::write(staging.join(&file), content).unwrap();
        let staged = Staged { file: Some(file), target: format!("part-{subtask}") };
        Bytes::from(codec::to_vec(&staged).unwrap())
    });
    staged.collect()
}

#[track_caller]
fn holds(directory: &Path, expected: &[(&str, &str)]) {
    let found: BTreeMap<String, String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap_or_default())
        })
        .collect();
    assert_eq!(found, expected.iter().map(|&(name, content)| (name.to_owned(), content.to_owned())).collect());
}

#[test]
fn a_commit_may_be_repeated_before_and_after_it_is_settled() {
    for overwrite in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        commit(dir.path(), JOB, &prepared, overwrite).unwrap();
        commit(dir.path(), JOB, &prepared, overwrite).unwrap();
        settle(dir.path(), JOB).unwrap();
        commit(dir.path(), JOB, &prepared, overwrite).unwrap();
        settle(dir.path(), JOB).unwrap();
        holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
    }
}

#[test]
fn a_commit_that_was_interrupted_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    fs::hard_link(staging(dir.path(), JOB).join("part-0-0"), dir.path().join("part-0")).unwrap();
    commit(dir.path(), JOB, &prepared, false).unwrap();
    settle(dir.path(), JOB).unwrap();
    holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
}

#[test]
fn of_two_jobs_in_one_directory_the_second_shows_nothing_and_harms_nothing() {
    for (first, second) in [(vec!["a0", "a1"], vec!["b0"]), (vec!["b0"], vec!["a0", "a1"])] {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (stage(dir.path(), JOB, &first), stage(dir.path(), OTHER, &second));
        commit(dir.path(), JOB, &one, false).unwrap();
        let failure = commit(dir.path(), OTHER, &two, false).unwrap_err();
        assert!(failure.message.contains("part-0 of somebody else"), "{failure}");
        settle(dir.path(), JOB).unwrap();
        abort(dir.path(), OTHER).unwrap();
        let names = ["part-0", "part-1"];
        holds(dir.path(), &names.into_iter().zip(first).collect::<Vec<_>>());
    }
}

#[test]
fn a_commit_that_fails_half_way_is_taken_back() {
    for overwrite in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        // Not seen when it is looked for, as one that comes in just then.
        let parts: Vec<_> = ["0", "1"]
            .map(|n| Part {
                from: staging(dir.path(), JOB).join(format!("part-{n}-0")),
                to: dir.path().join(format!("part-{n}")),
            })
            .into();
        fs::create_dir(&parts[1].to).unwrap();
        parts[0].show(overwrite).unwrap();
        parts[1].show(overwrite).unwrap_err();
        commit(dir.path(), JOB, &prepared, overwrite).unwrap_err();
        abort(dir.path(), JOB).unwrap();
        holds(dir.path(), &[("part-1", "")]);
    }
}

#[test]
fn what_one_sink_has_committed_is_taken_back_when_the_job_is_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let prepared = stage(&out, JOB, &["a", "b"]);
    commit(&out, JOB, &prepared, false).unwrap();
    abort(&out, JOB).unwrap();
    holds(dir.path(), &[]);
}

#[test]
fn files_that_are_lost_before_the_commit_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a"]);
    fs::remove_dir_all(staging(dir.path(), JOB)).unwrap();
    let failure = commit(dir.path(), JOB, &prepared, false).unwrap_err();
    assert!(failure.message.starts_with("cannot find "), "{failure}");
}

#[test]
fn without_links_a_part_is_moved_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    let (from, to) = (staging(dir.path(), JOB).join("part-0-0"), dir.path().join("part-0"));
    fs::write(&to, "other").unwrap();
    assert_eq!(move_to(&from, &to, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    move_to(&from, &to, true).unwrap();
    // A repeat of a commit that was interrupted there.
    commit(dir.path(), JOB, &prepared, false).unwrap();
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), ("part-0", "a"), ("part-1", "b")]);
    Part { from, to }.take_back().unwrap();
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), ("part-1", "b")]);
}

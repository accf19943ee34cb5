mod gone;
mod taken_back;

use std::collections::BTreeMap;

use super::{
    staged::{Name, Sort},
    *,
};

const JOB: JobId = JobId::from_bytes([1; 16]);
const OTHER: JobId = JobId::from_bytes([2; 16]);

/// Stages a file of the first writer of a subtask.
fn stage_one(directory: &Path, job: JobId, name: &Name, content: &str) {
    let room = name.room(&staging(directory, job));
    if !room.exists() {
        fs::create_dir_all(&room).unwrap();
        end::begin(&room).unwrap();
    }
    fs::write(room.join(name.staged()), content).unwrap();
}

/// Stages these files of a job that ends with them, by subtask.
fn stage(directory: &Path, job: JobId, contents: &[&str]) -> Vec<Bytes> {
    let of = contents.len() as u32;
    let staged = (0..).zip(contents).map(|(subtask, content)| {
        let name = only(subtask);
        stage_one(directory, job, &name, content);
        Bytes::from(Staged::new(job, directory, vec![name], Some((subtask, of))).to_bytes().unwrap())
    });
    staged.collect()
}

fn only(subtask: u32) -> Name {
    name(subtask, 0, Sort::Only)
}

/// Stages a part that subtask 0 has prepared at a barrier, as its part number `number`.
fn stage_at_barrier(directory: &Path, number: u32, content: &str) -> Vec<Bytes> {
    let name = name(0, number, Sort::Barrier);
    stage_one(directory, JOB, &name, content);
    vec![Staged::new(JOB, directory, vec![name], None).to_bytes().unwrap().into()]
}

/// What the part of subtask 0 with this number is called that is prepared at a barrier.
fn at_barrier(number: u32) -> String {
    name(0, number, Sort::Barrier).target(JOB).to_str().unwrap().to_owned()
}

fn name(subtask: u32, number: u32, sort: Sort) -> Name {
    Name { subtask, writer: 0, number, sort, partition: String::new(), extension: String::new() }
}

/// Where the part of a subtask is staged, and where it is shown.
fn part(directory: &Path, subtask: u32) -> Part {
    only(subtask).part(directory, &staging(directory, JOB), JOB)
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
    for others in [Others::Refuse, Others::Replace] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap();
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap();
        settle(dir.path(), JOB, &prepared).unwrap();
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap();
        settle(dir.path(), JOB, &prepared).unwrap();
        holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
    }
}

/// A round that a JobMaster has begun which is gone, in a process that knows nothing of that.
#[test]
fn two_rounds_of_one_commit_may_be_under_way_at_once() {
    for n in 0..600 {
        let others = [Others::Refuse, Others::Replace, Others::Keep][n % 3];
        let dir = tempfile::tempdir().unwrap();
        let rounds = |prepared: &[Bytes]| {
            let start = std::sync::Barrier::new(2);
            let round = || {
                start.wait();
                commit(dir.path(), JOB, prepared, others, Reach::Top)?;
                settle(dir.path(), JOB, prepared)
            };
            std::thread::scope(|scope| {
                let other = scope.spawn(round);
                round().unwrap();
                other.join().unwrap().unwrap();
            });
        };
        let numbers = 0..4;
        numbers.clone().for_each(|number| rounds(&stage_at_barrier(dir.path(), number, "x")));
        rounds(&stage(dir.path(), JOB, &["a", "b", "c", "d"]));
        let shown = numbers.map(at_barrier).collect::<Vec<_>>();
        let ends = [("part-0", "a"), ("part-1", "b"), ("part-2", "c"), ("part-3", "d")];
        holds(dir.path(), &shown.iter().map(|name| (name.as_str(), "x")).chain(ends).collect::<Vec<_>>());
    }
}

#[test]
fn a_round_that_finds_all_settled_by_another_removes_nothing() {
    for others in [Others::Refuse, Others::Replace, Others::Keep] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap();
        settle(dir.path(), JOB, &prepared).unwrap();
        // It had looked for what is left to be shown before.
        if others == Others::Replace {
            show(dir.path(), &staging(dir.path(), JOB), JOB, &[], others, Reach::Top).unwrap_err();
        }
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap();
        holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
    }
}

/// The same with a part that cannot be shown.
fn failing(directory: &Path, prepared: &[Bytes]) -> Vec<Bytes> {
    let missing = Staged::new(JOB, directory, vec![only(prepared.len() as u32)], None).to_bytes().unwrap();
    prepared.iter().cloned().chain([missing.into()]).collect()
}

#[test]
fn what_a_round_takes_back_is_not_settled_by_another() {
    for others in [Others::Refuse, Others::Replace, Others::Keep] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        let round = |prepared: &[Bytes]| commit(dir.path(), JOB, prepared, others, Reach::Top);
        round(&prepared).unwrap();
        round(&failing(dir.path(), &prepared)).unwrap_err();
        // The first goes on, and must not remove what is not shown any more.
        let failure = settle(dir.path(), JOB, &prepared).unwrap_err();
        assert!(failure.message.contains("it is to be shown again"), "{failure}");
        round(&prepared).unwrap();
        settle(dir.path(), JOB, &prepared).unwrap();
        holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
    }
}

#[test]
fn what_another_round_is_about_to_settle_is_not_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    check_taken_back_in_time(dir.path(), &part(dir.path(), 0));
}

/// A part of the end that is shown is taken back as long as that is not decided.
#[track_caller]
fn check_taken_back_in_time(directory: &Path, part: &Part) {
    let room = part.from.parent().unwrap();
    for state in ["end-decided", "end-settled"] {
        fs::rename(room.join("end-shown"), room.join(state)).unwrap();
        part.take_back(directory, By::Round).unwrap();
        assert!(part.is_shown());
        fs::rename(room.join(state), room.join("end-shown")).unwrap();
    }
    part.take_back(directory, By::Round).unwrap();
    assert!(!part.is_shown());
}

#[test]
fn a_round_that_fails_beside_another_takes_nothing_away_for_good() {
    for n in 0..600 {
        let others = [Others::Refuse, Others::Replace, Others::Keep][n % 3];
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b", "c", "d"]);
        let start = std::sync::Barrier::new(2);
        let round = |prepared: &[Bytes]| {
            commit(dir.path(), JOB, prepared, others, Reach::Top)?;
            settle(dir.path(), JOB, prepared)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                round(&failing(dir.path(), &prepared)).unwrap_err();
            });
            start.wait();
            // It may find that something was taken back.
            drop(round(&prepared));
        });
        round(&prepared).unwrap();
        holds(dir.path(), &[("part-0", "a"), ("part-1", "b"), ("part-2", "c"), ("part-3", "d")]);
    }
}

#[test]
fn a_reader_may_take_files_away_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    fs::remove_file(dir.path().join("part-0")).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    holds(dir.path(), &[("part-1", "b")]);
}

#[test]
fn a_commit_that_was_interrupted_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    let Part { from, to } = part(dir.path(), 0);
    fs::hard_link(from, to).unwrap();
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
}

#[test]
fn what_is_left_of_a_removal_that_was_interrupted_goes_with_a_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    // As far as another process has come with it.
    fs::rename(staging(dir.path(), JOB), done(dir.path(), JOB)).unwrap();
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
}

#[test]
fn of_two_jobs_in_one_directory_the_second_shows_nothing_and_harms_nothing() {
    for (first, second) in [(vec!["a0", "a1"], vec!["b0"]), (vec!["b0"], vec!["a0", "a1"])] {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (stage(dir.path(), JOB, &first), stage(dir.path(), OTHER, &second));
        commit(dir.path(), JOB, &one, Others::Refuse, Reach::Top).unwrap();
        let failure = commit(dir.path(), OTHER, &two, Others::Refuse, Reach::Top).unwrap_err();
        assert!(failure.message.contains("part-0 of somebody else"), "{failure}");
        settle(dir.path(), JOB, &one).unwrap();
        abort(dir.path(), OTHER, &[]).unwrap();
        let names = ["part-0", "part-1"];
        holds(dir.path(), &names.into_iter().zip(first).collect::<Vec<_>>());
    }
}

#[test]
fn a_commit_that_fails_half_way_is_taken_back() {
    for others in [Others::Refuse, Others::Replace] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = stage(dir.path(), JOB, &["a", "b"]);
        // Not seen when it is looked for, as one that comes in just then.
        let parts = [part(dir.path(), 0), part(dir.path(), 1)];
        fs::create_dir(&parts[1].to).unwrap();
        parts[0].show(others == Others::Replace).unwrap();
        parts[1].show(others == Others::Replace).unwrap_err();
        commit(dir.path(), JOB, &prepared, others, Reach::Top).unwrap_err();
        abort(dir.path(), JOB, &[]).unwrap();
        holds(dir.path(), &[("part-1", "")]);
    }
}

#[test]
fn what_one_sink_has_committed_is_taken_back_when_the_job_is_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let prepared = stage(&out, JOB, &["a", "b"]);
    commit(&out, JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    abort(&out, JOB, &[]).unwrap();
    holds(dir.path(), &[]);
}

#[test]
fn files_that_are_lost_before_the_commit_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a"]);
    fs::remove_dir_all(staging(dir.path(), JOB)).unwrap();
    let failure = commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap_err();
    assert!(failure.message.starts_with("cannot find "), "{failure}");
}

#[test]
fn parts_appear_with_each_checkpoint_and_repeats_of_any_commit_are_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    let (first, second) = (stage_at_barrier(out, 0, "a"), stage_at_barrier(out, 1, "b"));
    commit(out, JOB, &first, Others::Refuse, Reach::Top).unwrap();
    assert_eq!(fs::read_to_string(out.join(at_barrier(0))).unwrap(), "a");
    assert!(!out.join(at_barrier(1)).exists());
    settle(out, JOB, &first).unwrap();
    commit(out, JOB, &second, Others::Refuse, Reach::Top).unwrap();
    settle(out, JOB, &second).unwrap();
    // Somebody takes files away as they come, and another takes up the name of a part of the end.
    fs::remove_file(out.join(at_barrier(0))).unwrap();
    for prepared in [&first, &second, &first] {
        commit(out, JOB, prepared, Others::Refuse, Reach::Top).unwrap();
        settle(out, JOB, prepared).unwrap();
    }
    let last = stage(out, JOB, &["c"]);
    commit(out, JOB, &last, Others::Refuse, Reach::Top).unwrap();
    settle(out, JOB, &last).unwrap();
    holds(out, &[("part-0", "c"), (&at_barrier(1), "b")]);
}

#[test]
fn what_was_lost_before_its_commit_is_told_although_others_are_settled() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (stage_at_barrier(dir.path(), 0, "a"), stage_at_barrier(dir.path(), 1, "b"));
    commit(dir.path(), JOB, &first, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &first).unwrap();
    fs::remove_file(staging(dir.path(), JOB).join("0-0/1")).unwrap();
    let failure = commit(dir.path(), JOB, &second, Others::Refuse, Reach::Top).unwrap_err();
    assert!(failure.message.starts_with("cannot make "), "{failure}");
}

#[test]
fn an_abort_takes_back_the_end_and_no_checkpoint() {
    for settles in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path();
        let checkpoint = stage_at_barrier(out, 0, "a");
        commit(out, JOB, &checkpoint, Others::Refuse, Reach::Top).unwrap();
        if settles {
            settle(out, JOB, &checkpoint).unwrap();
        }
        // Never committed: its checkpoint was not complete.
        stage_at_barrier(out, 1, "b");
        let end = stage(out, JOB, &["c"]);
        commit(out, JOB, &end, Others::Refuse, Reach::Top).unwrap();
        abort(out, JOB, &[]).unwrap();
        holds(out, &[(&at_barrier(0), "a")]);
    }
}

#[test]
fn an_abort_leaves_what_a_snapshot_holds_to_the_job_that_starts_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    let shown = stage_at_barrier(&before, 0, "a");
    commit(&before, JOB, &shown, Others::Refuse, Reach::Top).unwrap();
    settle(&before, JOB, &shown).unwrap();
    let kept = [stage_at_barrier(&before, 1, "b"), stage_at_barrier(&before, 2, "c")].concat();
    commit(&before, JOB, &kept[1..], Others::Refuse, Reach::Top).unwrap();
    // Behind the snapshot, and at an end whose commit failed elsewhere.
    stage_at_barrier(&before, 3, "d");
    let end = stage(&before, JOB, &["e"]);
    commit(&before, JOB, &end, Others::Refuse, Reach::Top).unwrap();
    // A writer of which the snapshot holds nothing, and what a commit that was cut off leaves.
    stage_one(&before, JOB, &name(1, 0, Sort::Barrier), "f");
    fs::write(name(0, 1, Sort::Barrier).room(&staging(&before, JOB)).join("shown-0"), "b").unwrap();
    fs::create_dir(done(&before, JOB)).unwrap();
    // What this job had to commit of one that it had started from is not its own.
    let of_other = Staged::new(OTHER, &before, vec![name(0, 3, Sort::Barrier)], None).to_bytes().unwrap();
    for _ in 0..2 {
        abort(&before, JOB, &[kept.clone(), vec![of_other.clone().into()]].concat()).unwrap();
        let hidden = staging(&before, JOB);
        holds(&before, &[(&format!(".flott-{JOB}"), ""), (&at_barrier(0), "a"), (&at_barrier(2), "c")]);
        let staged = staged::all(&hidden).unwrap();
        assert_eq!(staged, [name(0, 1, Sort::Barrier), name(0, 2, Sort::Barrier)]);
        let room = name(0, 1, Sort::Barrier).room(&hidden);
        assert_eq!(names(&hidden).unwrap(), ["0-0", "claimed", "ended-0-1", "over"]);
        assert_eq!(names(&room).unwrap(), ["1", "2", "end-shown", "settled-0"]);
        assert!(names(&room.join("end-shown")).unwrap().is_empty());
    }
    for _ in 0..2 {
        commit(&after, OTHER, &[shown.clone(), kept.clone()].concat(), Others::Refuse, Reach::Top).unwrap();
    }
    assert_eq!(fs::read_to_string(before.join(at_barrier(1))).unwrap(), "b");
}

#[test]
fn subtasks_may_end_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    commit(dir.path(), JOB, &prepared[..1], Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared[..1]).unwrap();
    assert!(staging(dir.path(), JOB).exists());
    // A repeat does not bring back what somebody has taken away.
    fs::remove_file(dir.path().join("part-0")).unwrap();
    commit(dir.path(), JOB, &prepared[..1], Others::Refuse, Reach::Top).unwrap();
    commit(dir.path(), JOB, &prepared[1..], Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared[1..]).unwrap();
    holds(dir.path(), &[("part-1", "b")]);
}

#[test]
fn a_part_whose_commit_failed_is_shown_after_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (stage_at_barrier(dir.path(), 0, "a"), stage_at_barrier(dir.path(), 1, "b"));
    for prepared in [second, first] {
        commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
        settle(dir.path(), JOB, &prepared).unwrap();
    }
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), (&at_barrier(0), "a"), (&at_barrier(1), "b")]);
}

#[test]
fn files_of_others_stay_where_a_job_appends() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("part-7"), "old").unwrap();
    let checkpoint = stage_at_barrier(dir.path(), 0, "a");
    commit(dir.path(), JOB, &checkpoint, Others::Keep, Reach::Top).unwrap();
    let end = stage(dir.path(), JOB, &["b"]);
    commit(dir.path(), JOB, &end, Others::Keep, Reach::Top).unwrap();
    settle(dir.path(), JOB, &end).unwrap();
    holds(dir.path(), &[("part-0", "b"), (&at_barrier(0), "a"), ("part-7", "old")]);
}

#[test]
fn a_job_that_overwrites_removes_what_was_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    fs::write(out.join("part-7"), "old").unwrap();
    let parts = [stage_at_barrier(out, 0, "a"), stage_at_barrier(out, 1, "b")];
    for part in &parts {
        commit(out, JOB, part, Others::Replace, Reach::Top).unwrap();
        settle(out, JOB, part).unwrap();
    }
    let mark = format!(".flott-{JOB}");
    holds(out, &[(&mark, ""), (&at_barrier(0), "a"), (&at_barrier(1), "b")]);
}

#[test]
fn a_job_shows_what_the_one_had_prepared_whose_snapshot_it_starts_from() {
    for shown_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        let (first, second) = (stage_at_barrier(&before, 0, "a"), stage_at_barrier(&before, 1, "b"));
        let prepared = [first.clone(), second].concat();
        commit(&before, JOB, &first, Others::Refuse, Reach::Top).unwrap();
        settle(&before, JOB, &first).unwrap();
        if shown_before {
            commit(&before, JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
            settle(&before, JOB, &prepared).unwrap();
            abort(&before, JOB, &[]).unwrap();
        }
        for _ in 0..2 {
            commit(&after, OTHER, &prepared, Others::Refuse, Reach::Top).unwrap();
            assert_eq!(fs::read_to_string(before.join(at_barrier(0))).unwrap(), "a");
            assert_eq!(fs::read_to_string(before.join(at_barrier(1))).unwrap(), "b");
            assert!(!after.exists());
        }
        // Whoever reads them takes them away.
        fs::remove_file(before.join(at_barrier(1))).unwrap();
        commit(&after, OTHER, &prepared, Others::Refuse, Reach::Top).unwrap();
        assert!(!before.join(at_barrier(1)).exists());
    }
}

#[test]
fn what_another_job_had_prepared_and_is_lost_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage_at_barrier(dir.path(), 0, "a");
    fs::remove_file(staging(dir.path(), JOB).join("0-0/0")).unwrap();
    let failure = commit(&dir.path().join("after"), OTHER, &prepared, Others::Refuse, Reach::Top).unwrap_err();
    assert!(failure.message.starts_with("cannot make "), "{failure}");
}

#[test]
fn parts_of_later_writers_come_later_in_the_order_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let task = crate::operator::stand::task(flott_runtime::time::Clock::System);
    let mut prepared = Vec::new();
    for (content, ends) in [("a", false), ("b", true)] {
        let mut room = Room::claim(dir.path(), &task, Others::Refuse, "").unwrap();
        let place = room.place("");
        fs::write(&place.path, content).unwrap();
        let file = fs::File::open(&place.path).unwrap();
        room.complete(place, &file).unwrap();
        prepared.extend(room.prepare(ends).unwrap());
    }
    commit(dir.path(), task.job, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), task.job, &prepared).unwrap();
    let shown = names(dir.path()).unwrap();
    let contents: Vec<_> = shown.iter().map(|name| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    assert_eq!(contents, ["a", "b"], "{shown:?}");
}

#[test]
fn bytes_that_are_no_prepared_file_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for bytes in [&b""[..], b"part-0", &[255; 40]] {
        commit(dir.path(), JOB, &[Bytes::copy_from_slice(bytes)], Others::Refuse, Reach::Top).unwrap_err();
    }
}

//! Ends that rounds of a commit have taken back, and parts where there are no links.

use super::*;
use crate::sink::staging::part::move_to;

#[test]
fn an_end_that_was_taken_back_and_is_in_no_commit_any_more_keeps_none_from_being_settled() {
    for others in [Others::Refuse, Others::Replace, Others::Keep] {
        let dir = tempfile::tempdir().unwrap();
        let round = |prepared: &[Bytes]| commit(dir.path(), JOB, prepared, others, Reach::Top);
        let ends = |number, content| {
            let name = name(0, number, Sort::End);
            stage_one(dir.path(), JOB, &name, content);
            vec![Bytes::from(Staged::new(JOB, dir.path(), vec![name], None).to_bytes().unwrap())]
        };
        let before = ends(0, "a");
        round(&before).unwrap();
        round(&failing(dir.path(), &before)).unwrap_err();
        settle(dir.path(), JOB, &before).unwrap_err();
        // The job goes back to before that, and ends again.
        let again = stage_at_barrier(dir.path(), 1, "b");
        round(&again).unwrap();
        settle(dir.path(), JOB, &again).unwrap();
        let last = stage(dir.path(), JOB, &["x", "c"])[1..].to_vec();
        round(&last).unwrap();
        settle(dir.path(), JOB, &last).unwrap();
        let mark = format!(".flott-{JOB}");
        holds(dir.path(), &[(&mark, ""), (&at_barrier(1), "b"), ("part-1", "c")]);
    }
}

#[test]
fn without_links_a_part_is_moved_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    let Part { from, to } = part(dir.path(), 0);
    fs::write(&to, "other").unwrap();
    assert_eq!(move_to(&from, &to, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    move_to(&from, &to, true).unwrap();
    // A repeat of a commit that was interrupted there.
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), ("part-0", "a"), ("part-1", "b")]);
    Part { from, to }.take_back(dir.path(), By::Round).unwrap();
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), ("part-1", "b")]);
    // Another round has shown it before, and the next one shows it again.
    settle(dir.path(), JOB, &prepared).unwrap_err();
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
}

#[test]
fn without_links_what_another_round_is_about_to_settle_is_not_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    let part = part(dir.path(), 0);
    move_to(&part.from, &part.to, false).unwrap();
    commit(dir.path(), JOB, &prepared, Others::Refuse, Reach::Top).unwrap();
    check_taken_back_in_time(dir.path(), &part);
    // What a snapshot holds is all there is of it, and a job that starts from that shows it.
    abort(dir.path(), JOB, &prepared).unwrap();
    commit(dir.path(), OTHER, &prepared, Others::Refuse, Reach::Top).unwrap();
    assert_eq!(fs::read_to_string(&part.to).unwrap(), "a");
}

#[test]
fn without_links_what_comes_to_the_name_of_a_part_that_was_taken_back_is_not_that_part() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = stage(dir.path(), JOB, &["a", "b"]);
    let part = part(dir.path(), 0);
    move_to(&part.from, &part.to, false).unwrap();
    let round = |others| commit(dir.path(), JOB, &prepared, others, Reach::Top);
    round(Others::Refuse).unwrap();
    part.take_back(dir.path(), By::Round).unwrap();
    fs::write(&part.to, "other").unwrap();
    let room = part.from.parent().unwrap();
    part.take_back(dir.path(), By::Round).unwrap();
    // Another round had looked before.
    end::take_back(room, &part.to, By::Round, part.from.file_name()).unwrap();
    let failure = round(Others::Refuse).unwrap_err();
    assert!(failure.message.contains("part-0 of somebody else"), "{failure}");
    holds(dir.path(), &[(&format!(".flott-{JOB}"), ""), ("part-0", "other")]);
    round(Others::Replace).unwrap();
    settle(dir.path(), JOB, &prepared).unwrap();
    holds(dir.path(), &[("part-0", "a"), ("part-1", "b")]);
}

#[test]
fn without_links_two_rounds_may_show_again_what_was_taken_back() {
    for n in 0..600 {
        let dir = tempfile::tempdir().unwrap();
        stage(dir.path(), JOB, &["a"]);
        let part = part(dir.path(), 0);
        move_to(&part.from, &part.to, false).unwrap();
        part.take_back(dir.path(), By::Round).unwrap();
        let start = std::sync::Barrier::new(2);
        let show = || {
            start.wait();
            part.show(n % 2 == 0)
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(show);
            show().unwrap();
            other.join().unwrap().unwrap();
        });
        assert_eq!(fs::read_to_string(&part.to).unwrap(), "a");
    }
}

use super::*;

const TIMING: Timing =
    Timing { lease: Duration::from_secs(5), renewal: Duration::from_secs(4), retry: Duration::from_secs(1) };

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn candidate(name: &str) -> Candidate<u32> {
    Candidate::new(name.to_owned(), format!("{name}:1"), TIMING)
}

fn lease(holder: &str, transitions: u64) -> Lease {
    let address = if holder.is_empty() { "gone:1".to_owned() } else { format!("{holder}:1") };
    Lease { holder: holder.to_owned(), address, duration: TIMING.lease, transitions, over: false }
}

/// One that has written its first lease as version 1.
fn leader(now: Instant) -> Candidate<u32> {
    let mut candidate = candidate("a");
    assert_eq!(candidate.observed(now, None), Step::Write(lease("a", 0)));
    candidate.wrote(now, lease("a", 0), 1);
    assert!(candidate.leads());
    candidate
}

#[test]
fn the_first_one_leads_and_renews() {
    let now = Instant::now();
    let mut a = leader(now);
    assert_eq!(a.observed(now + s(1), Some((lease("a", 0), 1))), Step::Write(lease("a", 0)));
    assert_eq!(a.version(), Some(1));
    assert_eq!((a.leader(), a.runs_out()), (None, None));
}

#[test]
fn others_wait_for_as_long_as_the_lease_is_renewed() {
    let now = Instant::now();
    let mut b = candidate("b");
    for second in 0..20 {
        let version = u32::try_from(second / 4).unwrap();
        assert_eq!(b.observed(now + s(second), Some((lease("a", 0), version))), Step::Wait);
        assert_eq!((b.leads(), b.leader()), (false, Some("a:1")));
    }
}

#[test]
fn an_earlier_life_at_the_same_address_leads_nobody() {
    let now = Instant::now();
    let mut b = candidate("b");
    let before = Lease { address: "b:1".to_owned(), ..lease("a", 0) };
    // Its lease is respected all the same: another may hold it by now.
    assert_eq!(b.observed(now, Some((before.clone(), 1))), Step::Wait);
    assert_eq!(b.leader(), None);
    assert_eq!(b.observed(now + s(5), Some((before, 1))), Step::Write(lease("b", 1)));
}

#[test]
fn a_lease_that_is_not_renewed_passes_on() {
    let now = Instant::now();
    let mut b = candidate("b");
    assert_eq!(b.runs_out(), None);
    assert_eq!(b.observed(now, Some((lease("a", 3), 7))), Step::Wait);
    assert_eq!(b.runs_out(), Some(now + s(5)));
    assert_eq!(b.observed(now + s(4), Some((lease("a", 3), 7))), Step::Wait);
    assert_eq!(b.observed(now + s(5), Some((lease("a", 3), 7))), Step::Write(lease("b", 4)));
    assert_eq!(b.version(), Some(7));
    // Somebody else was faster.
    assert_eq!(b.not_written(now + s(5), "conflict"), Step::Wait);
    assert_eq!(b.observed(now + s(6), Some((lease("c", 4), 8))), Step::Wait);
    assert_eq!(b.leader(), Some("c:1"));
}

#[test]
fn a_lease_that_lasts_longer_by_its_holders_word_is_respected() {
    let now = Instant::now();
    let mut b = candidate("b");
    let long = Lease { duration: s(30), ..lease("a", 0) };
    assert_eq!(b.observed(now, Some((long.clone(), 1))), Step::Wait);
    assert_eq!(b.observed(now + s(29), Some((long.clone(), 1))), Step::Wait);
    assert_eq!(b.observed(now + s(30), Some((long, 1))), Step::Write(lease("b", 1)));
}

#[test]
fn a_leader_that_is_known_to_be_gone_is_not_waited_for() {
    let now = Instant::now();
    let mut b = candidate("b");
    assert_eq!(b.observed(now, Some((lease("a", 0), 1))), Step::Wait);
    b.leader_is_gone();
    // Another one was faster, and that one is there.
    assert_eq!(b.observed(now + s(1), Some((lease("c", 1), 2))), Step::Wait);
    assert_eq!(b.observed(now + s(1), Some((lease("a", 2), 3))), Step::Write(lease("b", 3)));
}

#[test]
fn a_lease_that_was_given_back_passes_on_at_once() {
    let now = Instant::now();
    let a = leader(now);
    let resignation = a.resignation(false).unwrap();
    assert_eq!(resignation.holder, "");
    let mut b = candidate("b");
    assert_eq!(b.observed(now, Some((lease("a", 0), 1))), Step::Wait);
    assert_eq!(b.observed(now + s(1), Some((resignation, 2))), Step::Write(lease("b", 1)));
    assert_eq!(b.leader(), None);
}

#[test]
fn who_sees_anothers_name_has_lost() {
    let now = Instant::now();
    let mut a = leader(now);
    assert!(matches!(a.observed(now + s(1), Some((lease("b", 1), 2))), Step::Lost(why) if why.contains('b')));
}

#[test]
fn who_cannot_renew_gives_up_before_others_may_lead() {
    let now = Instant::now();
    let mut a = leader(now);
    assert_eq!(a.unobserved(now + s(3), "no answer"), Step::Wait);
    assert!(matches!(a.unobserved(now + s(4), "no answer"), Step::Lost(why) if why.contains("no answer")));
    let mut a = leader(now);
    assert_eq!(a.not_written(now + s(3), "full"), Step::Wait);
    assert!(matches!(a.not_written(now + s(4), "full"), Step::Lost(why) if why.contains("full")));
}

#[test]
fn who_was_stopped_for_too_long_does_not_renew_an_old_lease() {
    let now = Instant::now();
    let mut a = leader(now);
    assert!(matches!(a.observed(now + s(60), Some((lease("a", 0), 1))), Step::Lost(_)));
}

#[test]
fn a_write_whose_answer_was_lost_counts_when_it_is_seen() {
    let now = Instant::now();
    let mut b = candidate("b");
    assert_eq!(b.observed(now, None), Step::Write(lease("b", 0)));
    assert_eq!(b.not_written(now + s(1), "no answer"), Step::Wait);
    assert!(!b.leads());
    assert_eq!(b.observed(now + s(2), Some((lease("b", 0), 1))), Step::Write(lease("b", 0)));
    b.wrote(now + s(2), lease("b", 0), 2);
    assert!(b.leads());
}

#[test]
fn those_that_stand_by_end_with_their_cluster_and_a_new_one_may_begin() {
    let now = Instant::now();
    let a = leader(now);
    let over = a.resignation(true).unwrap();
    let mut b = candidate("b");
    assert_eq!(b.observed(now, Some((lease("a", 0), 1))), Step::Wait);
    assert_eq!(b.observed(now + s(1), Some((over.clone(), 2))), Step::Over);
    let mut c = candidate("c");
    assert_eq!(c.observed(now + s(9), Some((over, 2))), Step::Write(lease("c", 1)));
}

#[test]
fn only_who_holds_the_lease_gives_it_back() {
    let now = Instant::now();
    let mut b = candidate("b");
    assert_eq!(b.observed(now, Some((lease("a", 0), 1))), Step::Wait);
    assert_eq!(b.resignation(false), None);
    assert_eq!(candidate("c").resignation(true), None);
}

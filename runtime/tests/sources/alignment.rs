//! Splits that are ahead of others wait.

use super::*;

fn aligned() -> WatermarkStrategy<i64> {
    strategy().with_watermark_alignment("group", Duration::from_millis(10), Duration::from_secs(1))
}

#[test]
fn a_split_ahead_of_others_of_its_subtask_is_not_read_until_they_have_caught_up() {
    let reading = Reading::open(2, Some(aligned()));
    reading.check(0, &[6], &[]);
    reading.check(1, &[3], &[Watermark(2)]);
    assert_eq!(reading.said_watermark(), Some(2));
    reading.group(None);
    reading.check(0, &[13], &[]);
    // Ahead by more than 10 with this one.
    reading.check(0, &[15], &[]);
    reading.give(0, vec![16]);
    reading.check(1, &[4], &[Watermark(3)]);
    assert_eq!(reading.left(0), 1);
    reading.give(1, vec![5]);
    assert_eq!(reading.seen(), [Records(vec![5]), Seen::Event(Watermark(4))]);
    assert_eq!(reading.seen(), [Records(vec![16])]);
    assert_eq!(reading.pauses(0), (2, 1));
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_split_ahead_of_the_group_is_not_read_until_the_group_has_caught_up() {
    let reading = Reading::open(2, Some(aligned()));
    reading.check(0, &[60], &[]);
    reading.check(1, &[51], &[Watermark(50)]);
    assert_eq!(reading.said_watermark(), Some(50));
    reading.group(Some(42));
    reading.until_paused(0);
    // Ahead by more than 10 with this one, and the other is not.
    reading.give(0, vec![61]);
    reading.check(1, &[52], &[Watermark(51)]);
    reading.check(1, &[53], &[Watermark(52)]);
    assert_eq!(reading.left(0), 1);
    reading.clock.set(1_000);
    assert_eq!(reading.said_watermark(), Some(52));
    reading.group(Some(49));
    assert_eq!(reading.seen(), [Records(vec![61])]);
    assert_eq!(reading.pauses(0), (2, 1));
    reading.group(None);
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_source_all_of_whose_splits_are_paused_still_says_how_far_it_has_come() {
    let reading = Reading::open(1, Some(aligned()));
    reading.check(0, &[100], &[Watermark(99)]);
    assert_eq!(reading.said_watermark(), Some(99));
    reading.group(Some(0));
    reading.until_paused(0);
    reading.give(0, vec![200]);
    for second in 1..4 {
        reading.clock.set(second * 1_000);
        assert_eq!(reading.said_watermark(), Some(99));
    }
    // The others have ended, or are idle.
    reading.group(None);
    assert_eq!(reading.seen(), [Records(vec![200]), Seen::Event(Watermark(199))]);
    // At its end nobody need wait for it, and its last watermark has no limit.
    reading.group(Some(190));
    reading.give(0, None);
    reading.assign(None, 1);
    assert_eq!(reading.said_watermark(), None);
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_source_alone_in_its_group_is_not_held_back() {
    let reading = Reading::open(1, Some(aligned()));
    reading.check(0, &[100], &[Watermark(99)]);
    assert_eq!(reading.said_watermark(), Some(99));
    reading.group(None);
    reading.check(0, &[i64::MAX - 1], &[Watermark(i64::MAX - 2)]);
    reading.check(0, &[i64::MAX], &[Watermark(i64::MAX - 1)]);
    assert_eq!(reading.pauses(0), (0, 0));
}

#[test]
fn an_idle_source_does_not_count_and_is_not_idle_for_being_paused() {
    let reading = Reading::open(2, Some(aligned().with_idleness(Duration::from_millis(1_500))));
    reading.check(0, &[100], &[]);
    // The first is ahead now, and is paused.
    reading.check(1, &[5], &[Watermark(4)]);
    assert_eq!(reading.said_watermark(), Some(4));
    reading.group(None);
    reading.clock.set(1_000);
    assert_eq!(reading.said_watermark(), Some(4));
    // The second is idle, and the first is read again. Only now can it be found to have nothing.
    reading.pass(1_313);
    reading.clock.set(1_500);
    assert_eq!(reading.seen(), [Seen::Event(Watermark(99))]);
    reading.clock.set(2_000);
    assert_eq!(reading.said_watermark(), Some(99));
    reading.pass(2_813);
    reading.clock.set(3_000);
    assert_eq!(reading.seen(), [Seen::Event(Idle)]);
    let mut said = reading.said_watermark();
    if said == Some(99) {
        // The clock was moved between its look at it and the word before.
        reading.clock.set(4_000);
        said = reading.said_watermark();
    }
    assert_eq!(said, None);
}

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use flott_core::checkpoint::Overtaking;

use super::{GateItem, InputGate, LocalSender};
use crate::{
    batch::Batch,
    channel::CREDITS,
    event::Event,
    testing::{Sleeper, Streams, barrier, task, task_in_mode},
};

fn gate(channels: u32) -> (InputGate<u64>, Vec<LocalSender<u64>>) {
    let gate = InputGate::new(channels as usize, task());
    let senders = (0..channels).map(|channel| gate.local_sender(channel)).collect();
    (gate, senders)
}

#[track_caller]
fn send(sender: &LocalSender<u64>, record: u64) {
    assert!(sender.try_send(&mut Batch::from(vec![record]), None));
}

/// What there is, by the first record of each batch.
fn drain(gate: &mut InputGate<u64>) -> Vec<Result<u64, Event>> {
    let mut items = Vec::new();
    while let Poll::Ready(item) = gate.poll_next(&mut Context::from_waker(Waker::noop())) {
        items.push(match item.unwrap() {
            GateItem::Batch(batch) => Ok(batch.records[0]),
            GateItem::Event(event) => Err(event),
        });
        if items.last() == Some(&Err(Event::End)) {
            break;
        }
    }
    items
}

#[track_caller]
fn check_events(sent: &[Event], expected: &[Event]) {
    let (mut gate, senders) = gate(1);
    send(&senders[0], 0);
    sent.iter().for_each(|event| senders[0].send_event(*event));
    assert!(gate.gate.state.lock().channels[0].items.len() <= 4, "events do not pile up");
    let expected: Vec<_> = std::iter::once(Ok(0)).chain(expected.iter().map(|event| Err(*event))).collect();
    assert_eq!(drain(&mut gate), expected);
}

#[test]
fn channels_take_turns() {
    let (mut gate, senders) = gate(3);
    for record in 0..3 {
        send(&senders[0], record);
    }
    send(&senders[1], 10);
    send(&senders[2], 20);
    send(&senders[2], 21);
    assert_eq!(drain(&mut gate), [0, 10, 20, 1, 21, 2].map(Ok));
}

#[test]
fn a_channel_has_a_few_credits_of_its_own() {
    let (mut gate, senders) = gate(2);
    let (sleeper, waker) = Sleeper::new();
    for record in 0..CREDITS {
        send(&senders[0], record.into());
    }
    let mut refused = Batch::from(vec![99]);
    assert!(!senders[0].try_send(&mut refused, Some(&waker)));
    assert_eq!(refused.records, [99], "what is not sent stays");
    send(&senders[1], 0);
    assert_eq!(sleeper.woken(), 0);
    drain(&mut gate);
    assert_eq!(sleeper.woken(), 1, "told once, though several credits came back");
    assert!(senders[0].try_send(&mut refused, Some(&waker)));
    assert!(refused.is_empty());
}

#[test]
fn a_sender_is_told_when_its_receiver_starves() {
    let (mut gate, senders) = gate(1);
    let (sleeper, waker) = Sleeper::new();
    assert!(senders[0].starved(&waker));
    send(&senders[0], 0);
    assert!(!senders[0].starved(&waker));
    senders[0].send_event(Event::Watermark(1));
    assert_eq!(sleeper.woken(), 0);
    drain(&mut gate);
    assert_eq!(sleeper.woken(), 1);
    assert!(senders[0].starved(&waker));
}

#[test]
fn events_that_wait_do_not_make_a_receiver_fed() {
    let (_gate, senders) = gate(1);
    senders[0].send_event(Event::Watermark(1));
    assert!(senders[0].starved(Waker::noop()));
}

#[test]
fn a_receiver_is_woken_for_what_comes_while_it_waits() {
    let (mut gate, senders) = gate(2);
    let (sleeper, waker) = Sleeper::new();
    assert!(gate.poll_next(&mut Context::from_waker(&waker)).is_pending());
    send(&senders[1], 7);
    send(&senders[0], 8);
    assert_eq!(sleeper.woken(), 1);
    drain(&mut gate);
    assert!(gate.poll_next(&mut Context::from_waker(&waker)).is_pending());
    senders[0].send_event(Event::Idle);
    assert_eq!(sleeper.woken(), 1);
}

#[test]
fn the_last_task_that_asked_is_woken() {
    let (mut gate, senders) = gate(1);
    let ((first, one), (second, other)) = (Sleeper::new(), Sleeper::new());
    assert!(gate.poll_next(&mut Context::from_waker(&one)).is_pending());
    assert!(gate.poll_next(&mut Context::from_waker(&other)).is_pending());
    send(&senders[0], 0);
    assert_eq!((first.woken(), second.woken()), (0, 1));
}

#[test]
fn of_events_in_a_row_the_newest_counts() {
    use Event::{Active, End, Idle, Watermark as W};
    check_events(&[W(1), W(2), W(3)], &[W(3)]);
    check_events(&[W(3), W(1)], &[W(3)]);
    check_events(&[W(1), Idle], &[W(1), Idle]);
    check_events(&[W(1), Idle, Active, Idle, W(2), Active], &[W(2)]);
    check_events(&[Idle, Active, Idle, W(5), Idle, End], &[W(5), Idle, End]);
}

#[test]
fn a_watermark_does_not_pass_a_batch() {
    let (mut gate, senders) = gate(1);
    senders[0].send_event(Event::Watermark(1));
    send(&senders[0], 5);
    senders[0].send_event(Event::Watermark(9));
    assert_eq!(drain(&mut gate), [Err(Event::Watermark(1)), Ok(5), Err(Event::Watermark(9))]);
}

#[test]
fn nothing_is_said_after_the_end() {
    let (mut gate, senders) = gate(1);
    senders[0].send_event(Event::End);
    senders[0].send_event(Event::Watermark(1));
    senders[0].send_event(Event::End);
    assert_eq!(drain(&mut gate), [Err(Event::End)]);
    assert!(gate.gate.state.lock().channels[0].items.is_empty());
}

#[test]
fn all_edges_of_an_input_end_together() {
    let (mut gate, senders) = gate(2);
    senders[0].send_event(Event::End);
    assert_eq!(drain(&mut gate), []);
    send(&senders[1], 1);
    senders[1].send_event(Event::End);
    assert_eq!(drain(&mut gate), [Ok(1), Err(Event::End)]);
}

#[test]
fn senders_to_a_receiver_that_is_gone_wait() {
    let (gate, senders) = gate(1);
    let (sleeper, waker) = Sleeper::new();
    send(&senders[0], 1);
    drop(gate);
    assert!(!senders[0].starved(&waker));
    let mut batch = Batch::from(vec![2]);
    assert!(!senders[0].try_send(&mut batch, Some(&waker)));
    senders[0].send_event(Event::End);
    assert_eq!(sleeper.woken(), 0);
    assert_eq!(batch.records, [2]);
}

#[test]
fn room_goes_round() {
    let (mut gate, senders) = gate(1);
    let mut batch = Batch::from(Vec::with_capacity(100));
    batch.push(1);
    assert!(senders[0].try_send(&mut batch, None));
    assert_eq!(batch.records.capacity(), 0, "there is no room to give yet");
    let Poll::Ready(Ok(GateItem::Batch(taken))) = gate.poll_next(&mut Context::from_waker(Waker::noop())) else {
        panic!("the batch is there")
    };
    gate.recycle(taken);
    let mut next = Batch::from(vec![2]);
    assert!(senders[0].try_send(&mut next, None));
    assert!(next.is_empty() && next.records.capacity() >= 100);
}

/// One of two inputs has come to a barrier, and gives more: what there is before the other comes to it, and then.
#[track_caller]
fn check_at_a_barrier(mode: &str, before: &[Result<u64, Event>], after: &[Result<u64, Event>]) {
    let mut gate = InputGate::new(2, task_in_mode(&Arc::<Streams>::default(), mode));
    let senders = [gate.local_sender(0), gate.local_sender(1)];
    let barrier = Event::Barrier(barrier(1, Overtaking::Never));
    send(&senders[0], 1);
    senders[0].send_event(barrier);
    send(&senders[0], 2);
    send(&senders[1], 10);
    assert_eq!(drain(&mut gate), before, "{mode}");
    senders[1].send_event(barrier);
    assert_eq!(drain(&mut gate), after, "{mode}");
}

#[test]
fn inputs_wait_for_each_other_at_a_barrier_if_records_are_to_count_once() {
    let cut = Err(Event::Barrier(barrier(1, Overtaking::Never)));
    check_at_a_barrier("EXACTLY_ONCE", &[Ok(1), Ok(10)], &[cut, Ok(2)]);
    // What comes behind the barrier is part of the snapshot, and will be given again.
    check_at_a_barrier("AT_LEAST_ONCE", &[Ok(1), Ok(10), Ok(2)], &[cut]);
}

//! Two exchanges over loopback, and a peer that does not keep to the protocol.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use flott_core::{
    codec,
    failure::{Domain, Failure},
    id::{AttemptNumber, EdgeIndex, JobId, JobSecret, ProcessId, SubtaskIndex, WorkerId},
    message::{ChannelId, ProcessLocation},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
};

use super::{
    Exchange,
    frame::{self, Hello, Kind, WELCOME},
    outgoing::RemoteSender,
};
use crate::{
    batch::BATCH_RECORDS,
    channel::{
        CREDIT_PARTS, CREDITS, CREDITS_TOGETHER,
        gate::{GateItem, InputGate},
    },
    error::TaskResult,
    event::Event,
    testing::task,
};

/// Batches of a record or two that a channel has credit for: they take little, but want a whole credit to be there.
const SMALL_BATCHES: u64 = ((CREDITS - 1) * CREDIT_PARTS + 1) as u64;

const JOB: JobId = JobId::from_bytes([1; 16]);
const SECRET: JobSecret = JobSecret::from_bytes([2; 16]);

fn channel(number: u32) -> ChannelId {
    let end = (SubtaskIndex(number), AttemptNumber(0));
    ChannelId { edge: EdgeIndex(0), producer: end, consumer: end }
}

fn exchange(secret: JobSecret) -> Arc<Exchange> {
    Exchange::new(JOB, secret, ProcessId::random(), vec![Handle::current()])
}

/// An exchange that listens, and where.
async fn listener() -> (Arc<Exchange>, ProcessLocation) {
    let exchange = exchange(SECRET);
    let data_address = exchange.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let location =
        ProcessLocation { process: exchange.process(), worker: WorkerId("peer".into()), data_address, pid: 0 };
    (exchange, location)
}

fn gate(exchange: &Arc<Exchange>, number: u32) -> InputGate<u64> {
    let gate = InputGate::new(1, task());
    exchange.offer_remote(channel(number), &gate, 0);
    gate
}

/// The next batch or event.
async fn next(gate: &mut InputGate<u64>) -> TaskResult<Result<Vec<u64>, Event>> {
    match poll_fn(|cx| gate.poll_next(cx)).await? {
        GateItem::Batch(batch) => Ok(Ok(batch.records)),
        GateItem::Event(event) => Ok(Err(event)),
    }
}

/// Sends a batch as soon as there is credit.
async fn send(sender: &RemoteSender, records: &[u64]) -> TaskResult {
    let credit = |taken| if taken { Poll::Ready(Ok(())) } else { Poll::Pending };
    poll_fn(|cx| match sender.take_credit(Some(cx.waker())) {
        Ok(taken) => credit(taken),
        Err(failure) => Poll::Ready(Err(failure)),
    })
    .await?;
    let mut frame = sender.frame(records.len(), false, 64);
    codec::encode_batch(records, &mut frame).unwrap();
    sender.send(records.len(), frame)
}

async fn send_event(sender: &RemoteSender, event: Event) -> TaskResult {
    poll_fn(|cx| match sender.try_send_event(event, Some(cx.waker())) {
        Ok(true) => Poll::Ready(Ok(())),
        Ok(false) => Poll::Pending,
        Err(failure) => Poll::Ready(Err(failure)),
    })
    .await
}

/// Waits until the connection under `sender` breaks. Uses up its credit.
async fn broken(sender: &RemoteSender) -> Box<Failure> {
    poll_fn(|cx| {
        loop {
            match sender.take_credit(Some(cx.waker())) {
                Err(failure) => return Poll::Ready(failure),
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
            }
        }
    })
    .await
}

#[tokio::test]
async fn records_and_events_cross_in_order_with_a_few_credits() {
    let (here, location) = listener().await;
    let mut gate = gate(&here, 0);
    let there = exchange(SECRET);
    let sender = there.open_remote(&location, channel(0)).unwrap();
    for record in 0..SMALL_BATCHES {
        send(&sender, &[record, record]).await.unwrap();
    }
    assert!(!sender.take_credit(None).unwrap(), "all credit is used");
    send_event(&sender, Event::Watermark(7)).await.unwrap();
    for record in 0..SMALL_BATCHES {
        assert_eq!(next(&mut gate).await, Ok(Ok(vec![record, record])));
    }
    assert_eq!(next(&mut gate).await, Ok(Err(Event::Watermark(7))));
    poll_fn(|cx| if sender.starved(cx.waker()).unwrap() { Poll::Ready(()) } else { Poll::Pending }).await;
    send_event(&sender, Event::End).await.unwrap();
    assert_eq!(next(&mut gate).await, Ok(Err(Event::End)));
}

#[tokio::test]
async fn a_sender_hears_that_its_receiver_starves_whatever_it_sent() {
    let (here, location) = listener().await;
    let mut gate = gate(&here, 0);
    let sender = exchange(SECRET).open_remote(&location, channel(0)).unwrap();
    for size in [1, 300, 700, 5_000] {
        for count in 1..=40 {
            // As many at a time as there is credit for although the receiver keeps some to itself.
            for record in 0..count.min(CREDITS_TOGETHER.into()) {
                send(&sender, &vec![record; size]).await.unwrap();
            }
            for record in 0..count.min(CREDITS_TOGETHER.into()) {
                assert_eq!(next(&mut gate).await, Ok(Ok(vec![record; size])));
            }
            poll_fn(|cx| if sender.starved(cx.waker()).unwrap() { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }
}

#[tokio::test]
async fn a_channel_has_credit_for_few_full_batches() {
    let (here, location) = listener().await;
    let mut gate = gate(&here, 0);
    let sender = exchange(SECRET).open_remote(&location, channel(0)).unwrap();
    let full = vec![7; BATCH_RECORDS];
    for _ in 0..CREDITS {
        send(&sender, &full).await.unwrap();
    }
    assert!(!sender.take_credit(None).unwrap());
    assert!(!sender.starved(Waker::noop()).unwrap());
    for _ in 0..CREDITS {
        assert_eq!(next(&mut gate).await, Ok(Ok(full.clone())));
    }
    send(&sender, &full).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_before_the_receiver_is_there() {
    let (here, location) = listener().await;
    let there = exchange(SECRET);
    let sender = there.open_remote(&location, channel(0)).unwrap();
    // The other channel shows that the connection is up and that the first one was opened.
    let mut witness = gate(&here, 1);
    let second = there.open_remote(&location, channel(1)).unwrap();
    send_event(&second, Event::Idle).await.unwrap();
    assert_eq!(next(&mut witness).await, Ok(Err(Event::Idle)));
    assert_eq!(here.waiting(), 1);
    assert!(!sender.take_credit(None).unwrap());
    assert!(!sender.try_send_event(Event::End, None).unwrap());

    let mut gate = gate(&here, 0);
    send_event(&sender, Event::End).await.unwrap();
    assert_eq!(next(&mut gate).await, Ok(Err(Event::End)));
    assert_eq!(here.waiting(), 0);
}

#[tokio::test]
async fn a_sender_that_goes_leaves_nothing_behind() {
    let (here, location) = listener().await;
    let there = exchange(SECRET);
    drop(there.open_remote(&location, channel(0)).unwrap());
    let mut witness = gate(&here, 1);
    let second = there.open_remote(&location, channel(1)).unwrap();
    send_event(&second, Event::Idle).await.unwrap();
    assert_eq!(next(&mut witness).await, Ok(Err(Event::Idle)));
    assert_eq!(here.waiting(), 0);
}

#[tokio::test]
async fn a_receiver_that_goes_is_no_loss_of_the_connection() {
    let (here, location) = listener().await;
    let there = exchange(SECRET);
    let gone = gate(&here, 0);
    let sender = there.open_remote(&location, channel(0)).unwrap();
    send(&sender, &[1]).await.unwrap();
    drop(gone);
    send(&sender, &[2]).await.unwrap();
    let mut other = gate(&here, 1);
    let second = there.open_remote(&location, channel(1)).unwrap();
    send(&second, &[3]).await.unwrap();
    assert_eq!(next(&mut other).await, Ok(Ok(vec![3])));
}

#[tokio::test]
async fn a_peer_that_vanishes_fails_both_ends_but_not_what_has_ended() {
    let (here, location) = listener().await;
    let there = exchange(SECRET);
    let (mut open, mut ended) = (gate(&here, 0), gate(&here, 1));
    let sender = there.open_remote(&location, channel(0)).unwrap();
    let second = there.open_remote(&location, channel(1)).unwrap();
    send(&sender, &[1]).await.unwrap();
    send_event(&second, Event::End).await.unwrap();
    // The first channel is in use, the second one has ended.
    assert_eq!(next(&mut open).await, Ok(Ok(vec![1])));
    assert_eq!(next(&mut ended).await, Ok(Err(Event::End)));
    there.close();
    let failure = next(&mut open).await.unwrap_err();
    assert_eq!(failure.domain, Domain::Environment);
    assert!(failure.message.starts_with("lost the data connection from 127.0.0.1:"), "{failure}");

    let there = exchange(SECRET);
    let _open = gate(&here, 2);
    let sender = there.open_remote(&location, channel(2)).unwrap();
    send(&sender, &[1]).await.unwrap();
    here.close();
    let failure = broken(&sender).await;
    let expected = format!("lost the data connection to peer at {}", location.data_address);
    assert_eq!((failure.domain, failure.message), (Domain::Environment, expected));
    assert!(sender.take_credit(None).is_err() && sender.try_send_event(Event::End, None).is_err());
}

#[tokio::test]
async fn a_new_life_of_a_peer_has_a_connection_of_its_own() {
    let (old, old_location) = listener().await;
    let there = exchange(SECRET);
    let _gate = gate(&old, 0);
    let sender = there.open_remote(&old_location, channel(0)).unwrap();
    send(&sender, &[1]).await.unwrap();
    let (new, new_location) = listener().await;
    let mut fresh = gate(&new, 0);
    let second = there.open_remote(&new_location, channel(0)).unwrap();
    old.close();
    broken(&sender).await;
    send(&second, &[2]).await.unwrap();
    assert_eq!(next(&mut fresh).await, Ok(Ok(vec![2])));
}

#[tokio::test]
async fn whoever_does_not_belong_to_the_job_is_refused() {
    let (_here, location) = listener().await;
    let refusal = "the peer hung up on the greeting: ";
    let stranger = exchange(JobSecret::from_bytes([3; 16]));
    let failure = broken(&stranger.open_remote(&location, channel(0)).unwrap()).await;
    assert!(failure.causes[0].starts_with(refusal), "{}", failure.report());

    let late = ProcessLocation { process: ProcessId::random(), ..location };
    let failure = broken(&exchange(SECRET).open_remote(&late, channel(0)).unwrap()).await;
    assert!(failure.causes[0].starts_with(refusal), "{}", failure.report());
}

#[tokio::test]
async fn a_peer_that_is_not_there_fails_its_channels() {
    let (here, location) = listener().await;
    here.close();
    // Until the listener is dropped the kernel may still accept; then it hangs up, which is the same failure.
    let failure = broken(&exchange(SECRET).open_remote(&location, channel(0)).unwrap()).await;
    assert_eq!(failure.domain, Domain::Environment);
}

/// A peer of its own mind.
struct Rogue(TcpStream);

impl Rogue {
    async fn dial(location: &ProcessLocation) -> Self {
        let mut stream = TcpStream::connect(location.data_address).await.unwrap();
        let hello = Hello { job: JOB, secret: SECRET, to: location.process };
        stream.write_all(&hello.to_bytes()).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), WELCOME);
        Self(stream)
    }

    async fn say(&mut self, kind: Kind, channel: u32, count: u32, body: &[u8]) {
        let mut bytes = frame::begin(kind, channel, count, false, body.len());
        bytes.extend_from_slice(body);
        self.0.write_all(&frame::finish(bytes).unwrap()).await.unwrap();
    }

    async fn open(&mut self, number: u32) {
        self.say(Kind::Open, number, 0, &codec::to_vec(&channel(number)).unwrap()).await;
    }

    /// What the other side makes of it.
    async fn check(self, gate: &mut InputGate<u64>, expected: &str) {
        let failure = loop {
            match next(gate).await {
                Ok(_) => {}
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.causes, [expected]);
    }
}

async fn rogue() -> (Arc<Exchange>, InputGate<u64>, Rogue) {
    let (here, location) = listener().await;
    let gate = gate(&here, 0);
    let mut rogue = Rogue::dial(&location).await;
    rogue.open(0).await;
    (here, gate, rogue)
}

#[tokio::test]
async fn more_batches_than_credit_are_refused() {
    let (_here, mut gate, mut rogue) = rogue().await;
    for _ in 0..=CREDITS * CREDIT_PARTS {
        rogue.say(Kind::Data, 0, 1, &[0; 8]).await;
    }
    // Nobody takes anything off the queue until the peer has hung up, in order or not.
    let _ = rogue.0.read_to_end(&mut Vec::new()).await;
    rogue.check(&mut gate, "the peer sent more batches than it had credit for").await;
}

#[tokio::test]
async fn whatever_comes_after_the_end_is_refused() {
    let (here, _ended, mut rogue) = rogue().await;
    let mut witness = gate(&here, 1);
    rogue.open(1).await;
    let end = codec::to_vec(&Event::End).unwrap();
    rogue.say(Kind::Event, 0, 0, &end).await;
    rogue.say(Kind::Data, 0, 1, &[0; 8]).await;
    rogue.check(&mut witness, "the peer sent on channel 0 after its end").await;
}

#[tokio::test]
async fn frames_that_make_no_sense_are_refused() {
    let cases: [(Kind, u32, &[u8], &str); 4] = [
        (Kind::Credit, 0, &[], "the peer sent credits, which only listeners give"),
        (Kind::Data, 9, &[0; 8], "the peer sent on channel 9, which has no receiver"),
        (Kind::Event, 0, &[0xff; 4], "an event cannot be read: "),
        (Kind::Open, 5, &[1], "a channel id cannot be read: "),
    ];
    for (kind, number, body, expected) in cases {
        let (_here, mut gate, mut rogue) = rogue().await;
        rogue.say(kind, number, 1, body).await;
        let failure = next(&mut gate).await.unwrap_err();
        assert!(failure.causes[0].starts_with(expected), "{}", failure.report());
    }
    let (_here, mut gate, mut rogue) = rogue().await;
    rogue.0.write_all(&[0xff; 13]).await.unwrap();
    let failure = next(&mut gate).await.unwrap_err();
    assert!(failure.causes[0].contains("4294967295 bytes"), "{}", failure.report());
}

#[tokio::test]
async fn records_that_cannot_be_read_fail_their_task_alone() {
    let (here, mut gate_0, mut rogue) = rogue().await;
    let mut other = gate(&here, 1);
    rogue.open(1).await;
    rogue.say(Kind::Data, 0, u32::MAX >> 1, &[0; 8]).await;
    rogue.say(Kind::Data, 1, 1, &[0; 8]).await;
    let failure = next(&mut gate_0).await.unwrap_err();
    assert_eq!(failure.message, "a frame of records from another process cannot be read");
    assert_eq!(next(&mut other).await, Ok(Ok(vec![0])));
}

#[tokio::test]
async fn events_do_not_pile_up_when_nobody_writes_them() {
    let (here, location) = listener().await;
    let _gate = gate(&here, 0);
    let there = exchange(SECRET);
    let sender = there.open_remote(&location, channel(0)).unwrap();
    send_event(&sender, Event::Idle).await.unwrap();
    // The connection is driven by this very thread, so nothing is written meanwhile.
    let sent = (0..1 << 20).take_while(|_| sender.try_send_event(Event::Idle, Some(Waker::noop())).unwrap()).count();
    assert!((100..10_000).contains(&sent), "{sent}");
    send_event(&sender, Event::End).await.unwrap();
}

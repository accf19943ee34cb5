//! Connections between fake peers, over in-memory streams.

use std::time::Duration;

use flott_rpc::carrier::memory;
use flott_rpc::frame::{self, FrameDecoder, Kind};
use flott_rpc::{CallError, CloseReason, Connection, Event, Incoming, Options, SendError, Sender, Timeout};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Down {
    Say(String),
    Double(u64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Up {
    Tell(u64),
    Shout(String),
}

type Master = (Sender<Down, Up>, Incoming<Down, Up>);
type Worker = (Sender<Up, Down>, Incoming<Up, Down>);

const SOON: Timeout = Timeout::new("an answer of the test", Duration::from_secs(5));

fn pair_with(options: Options) -> (Master, Worker) {
    let (a, b) = memory();
    (Connection::start(a, options.clone()), Connection::start(b, options))
}

fn pair() -> (Master, Worker) {
    pair_with(Options::default())
}

/// A connection whose peer is the test itself.
fn alone_with(options: Options) -> (Master, DuplexStream) {
    let (a, b) = memory();
    (Connection::start(a, options), b)
}

fn options(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

/// All that comes until the end, the end included.
async fn all<Out, In>(mut incoming: Incoming<Out, In>) -> Vec<Event<Out, In>> {
    let mut events = Vec::new();
    while let Some(event) = incoming.next().await {
        events.push(event);
    }
    events
}

#[track_caller]
fn check_closed<Out, In>(events: Vec<Event<Out, In>>, expected: CloseReason) {
    let ends: Vec<CloseReason> = events
        .into_iter()
        .filter_map(|event| if let Event::Closed(reason) = event { Some(reason) } else { None })
        .collect();
    assert_eq!(ends, [expected]);
}

/// Answers everything until the end.
fn serve(mut incoming: Incoming<Up, Down>) -> tokio::task::JoinHandle<Option<CloseReason>> {
    tokio::spawn(async move {
        while let Some(event) = incoming.next().await {
            match event {
                Event::Request(Down::Double(number), responder) => {
                    // The connection may close while requests are answered.
                    let _ = responder.reply(Up::Tell(number * 2));
                }
                Event::Request(Down::Say(text), responder) => responder.refuse(&text),
                Event::Message(_) => {}
                Event::Closed(reason) => return Some(reason),
            }
        }
        None
    })
}

#[tokio::test]
async fn messages_arrive_in_order_before_the_end() {
    let ((master, _keep), (_worker, incoming)) = pair();
    for number in 0..1000 {
        master.send(Down::Double(number)).unwrap();
    }
    master.close("done");
    let events = all(incoming).await;
    assert_eq!(events.len(), 1001);
    for (number, event) in events[..1000].iter().enumerate() {
        assert!(matches!(event, Event::Message(Down::Double(seen)) if *seen == number as u64));
    }
    check_closed(events, CloseReason::PeerClosed("done".to_owned()));
}

#[tokio::test]
async fn calls_both_ways_find_their_own_replies() {
    let ((master, mut master_incoming), (worker, worker_incoming)) = pair();
    let shouting = tokio::spawn(async move {
        while let Some(event) = master_incoming.next().await {
            match event {
                Event::Request(Up::Shout(text), responder) => {
                    // Some replies overtake others.
                    tokio::spawn(async move {
                        if text.len() % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        responder.reply(Down::Say(text.to_uppercase())).unwrap();
                    });
                }
                Event::Closed(reason) => return Some(reason),
                other => panic!("unexpected {other:?}"),
            }
        }
        None
    });
    let serving = serve(worker_incoming);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..500u64 {
        let (master, worker) = (master.clone(), worker.clone());
        calls.spawn(async move {
            let text = format!("n{}", "x".repeat(number as usize % 7));
            let (doubled, shouted) =
                tokio::join!(master.call(Down::Double(number), SOON), worker.call(Up::Shout(text.clone()), SOON));
            assert_eq!(doubled.unwrap(), Up::Tell(number * 2));
            assert_eq!(shouted.unwrap(), Down::Say(text.to_uppercase()));
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    worker.close("");
    assert_eq!(serving.await.unwrap(), Some(CloseReason::Local));
    assert_eq!(shouting.await.unwrap(), Some(CloseReason::PeerClosed(String::new())));
}

#[tokio::test]
async fn a_refused_call_tells_why() {
    let ((master, _keep), (_worker, incoming)) = pair();
    serve(incoming);
    let refused = master.call(Down::Say("unknown job".to_owned()), SOON).await;
    assert_eq!(refused, Err(CallError::Refused("unknown job".to_owned())));
    assert_eq!(master.call(Down::Double(4), SOON).await, Ok(Up::Tell(8)));
}

#[tokio::test]
async fn a_request_that_is_dropped_is_refused() {
    let ((master, _keep), (_worker, mut incoming)) = pair();
    let (answer, ()) = tokio::join!(master.call(Down::Double(1), SOON), async { drop(incoming.next().await) });
    assert_eq!(answer, Err(CallError::Refused("the request was dropped without an answer".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_dropped_and_the_connection_stays() {
    let ((master, _keep), (_worker, mut incoming)) = pair();
    let late = master.call(Down::Double(1), SOON).await;
    assert_eq!(late, Err(CallError::TimedOut { name: SOON.name, after: SOON.after }));
    let Some(Event::Request(_, responder)) = incoming.next().await else { panic!("the request was sent") };
    responder.reply(Up::Tell(2)).unwrap();
    serve(incoming);
    assert_eq!(master.call(Down::Double(2), SOON).await, Ok(Up::Tell(4)));
}

#[tokio::test]
async fn calls_that_wait_fail_with_the_connection() {
    let ((master, incoming), peer) = alone_with(Options::default());
    let (answer, ()) = tokio::join!(master.call(Down::Double(1), SOON), async { drop(peer) });
    assert_eq!(answer, Err(CallError::Closed(CloseReason::PeerVanished)));
    assert_eq!(master.closed().await, CloseReason::PeerVanished);
    check_closed(all(incoming).await, CloseReason::PeerVanished);
    assert_eq!(master.send(Down::Double(2)), Err(SendError::Closed(CloseReason::PeerVanished)));
    let again = master.call(Down::Double(1), SOON).await;
    assert_eq!(again, Err(CallError::Send(SendError::Closed(CloseReason::PeerVanished))));
}

#[tokio::test]
async fn calls_in_flight_are_bounded_at_both_ends() {
    let few = options(|options| {
        options.calls_max = 1;
        options.requests_max = 1;
    });
    let ((master, _keep), (_worker, mut incoming)) = pair_with(few.clone());
    let first = tokio::spawn({
        let master = master.clone();
        async move { master.call(Down::Double(1), SOON).await }
    });
    let Some(Event::Request(_, responder)) = incoming.next().await else { panic!("the request was sent") };
    assert_eq!(master.call(Down::Double(2), SOON).await, Err(CallError::TooMany { max: 1 }));
    responder.reply(Up::Tell(2)).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Up::Tell(2)));

    let (a, b) = memory();
    let (master, _keep): Master = Connection::start(a, Options::default());
    let (_worker, mut incoming): Worker = Connection::start(b, few);
    let first = tokio::spawn({
        let master = master.clone();
        async move { master.call(Down::Double(1), SOON).await }
    });
    let Some(Event::Request(_, responder)) = incoming.next().await else { panic!("the request was sent") };
    assert_eq!(
        master.call(Down::Double(2), SOON).await,
        Err(CallError::Refused("1 requests are unanswered already, which is as many as may be".to_owned()))
    );
    responder.reply(Up::Tell(2)).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Up::Tell(2)));
    serve(incoming);
    assert_eq!(master.call(Down::Double(3), SOON).await, Ok(Up::Tell(6)));
}

#[tokio::test]
async fn a_message_too_long_for_a_frame_leaves_the_connection_as_it_is() {
    let ((master, _keep), (_worker, incoming)) = pair_with(options(|options| options.frame_bytes_max = 100));
    let long = master.send(Down::Say("x".repeat(100)));
    assert_eq!(long, Err(SendError::TooLong { bytes: 117, max: 100 }));
    serve(incoming);
    assert_eq!(master.call(Down::Double(1), SOON).await, Ok(Up::Tell(2)));
}

#[tokio::test]
async fn dropping_incoming_closes_and_tells_the_peer() {
    let ((master, master_incoming), (_worker, incoming)) = pair();
    master.send(Down::Double(1)).unwrap();
    drop(master_incoming);
    let events = all(incoming).await;
    assert!(matches!(events[0], Event::Message(Down::Double(1))));
    check_closed(events, CloseReason::PeerClosed(String::new()));
}

#[tokio::test]
async fn both_closing_at_once_end_once_each() {
    let ((master, master_incoming), (worker, worker_incoming)) = pair();
    master.close("a");
    worker.close("b");
    master.close("c");
    check_closed(all(master_incoming).await, CloseReason::Local);
    check_closed(all(worker_incoming).await, CloseReason::Local);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_stay_open() {
    let ((master, _keep), (_worker, incoming)) = pair();
    serve(incoming);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(master.call(Down::Double(1), SOON).await, Ok(Up::Tell(2)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let ((_master, incoming), mut peer) = alone_with(Options::default());
    let started = tokio::time::Instant::now();
    check_closed(
        all(incoming).await,
        CloseReason::Timeout { wait: "nothing was heard from the peer", after: Duration::from_secs(8) },
    );
    assert_eq!(started.elapsed(), Duration::from_secs(8));
    // It was pinged, and told.
    let (mut bytes, mut decoder, mut kinds) = (Vec::new(), FrameDecoder::new(1 << 20), Vec::new());
    peer.read_to_end(&mut bytes).await.unwrap();
    decoder.feed(&bytes);
    while let Some(frame) = decoder.next_frame().unwrap() {
        kinds.push(frame.kind);
    }
    assert_eq!((kinds.first(), kinds.last()), (Some(&Kind::Ping), Some(&Kind::Close)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lives_but_does_not_read_is_given_up_when_a_write_stalls() {
    let ((master, incoming), mut peer) = alone_with(options(|options| options.queue_bytes_max = 1 << 20));
    master.send(Down::Say("x".repeat(500_000))).unwrap();
    tokio::spawn(async move {
        while peer.write_all(&frame::encode_empty(Kind::Pong)).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    check_closed(
        all(incoming).await,
        CloseReason::Timeout { wait: "the peer took nothing of what was sent", after: Duration::from_secs(8) },
    );
}

#[tokio::test]
async fn a_full_queue_closes_and_says_so() {
    let ((master, incoming), _peer) = alone_with(options(|options| options.queue_bytes_max = 10_000));
    let error = loop {
        if let Err(error) = master.send(Down::Say("x".repeat(1000))) {
            break error;
        }
        tokio::task::yield_now().await;
    };
    let SendError::Closed(reason) = error else { panic!("{error}") };
    assert!(matches!(reason, CloseReason::Overflow { waiting: 10_001.., max: 10_000 }), "{reason}");
    check_closed(all(incoming).await, reason);
}

#[tokio::test]
async fn a_slow_user_slows_the_peer_down_and_loses_nothing() {
    let ((master, _keep), (_worker, mut incoming)) = pair_with(options(|options| options.incoming_bytes_max = 2000));
    for number in 0..500 {
        master.send(Down::Double(number)).unwrap();
    }
    for number in 0..500 {
        tokio::task::yield_now().await;
        assert!(matches!(incoming.next().await, Some(Event::Message(Down::Double(seen))) if seen == number));
    }
}

/// Ends for `bytes` from a peer that then goes away.
async fn end_for(bytes: &[u8]) -> CloseReason {
    let ((_master, incoming), mut peer) = alone_with(Options::default());
    peer.write_all(bytes).await.unwrap();
    drop(peer);
    match all(incoming).await.pop() {
        Some(Event::Closed(reason)) => reason,
        other => panic!("{other:?} is not the end"),
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_within_a_frame_has_vanished() {
    let frame = frame::encode(Kind::Notify, &Up::Shout("hello".to_owned())).unwrap();
    for length in 0..frame.len() {
        assert_eq!(end_for(&frame[..length]).await, CloseReason::PeerVanished, "after {length} bytes");
    }
}

#[tokio::test]
async fn frames_that_no_sound_peer_sends_close_with_what_was_wrong() {
    let protocol = |text: &str| CloseReason::Protocol(text.to_owned());
    let too_long = end_for(&[0xff; 100]).await;
    assert_eq!(too_long, protocol("frame of 4294967299 bytes, expected at most 67108864"));
    let reply = frame::encode(Kind::Reply(9), &Up::Tell(1)).unwrap();
    assert_eq!(end_for(&reply).await, protocol("reply to call 9, which was never made"));
    let unknown_variant = frame::encode(Kind::Notify, &7u32).unwrap();
    assert_eq!(
        end_for(&unknown_variant).await,
        protocol("body of Notify frame: invalid value: integer `7`, expected variant index 0 <= i < 2 (at byte 4)")
    );
    let mut changed = frame::encode(Kind::Notify, &Up::Tell(1)).unwrap();
    changed[8] ^= 1;
    assert!(matches!(end_for(&changed).await, CloseReason::Protocol(text) if text.contains("checksum")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_end_the_connection_once(
        start in prop::collection::vec(0usize..4, 0..3),
        bytes in prop::collection::vec(prop_oneof![0u8..10, any::<u8>()], 0..100),
    ) {
        let sound = [
            frame::encode_empty(Kind::Ping),
            frame::encode(Kind::Notify, &Up::Tell(1)).unwrap(),
            frame::encode(Kind::Request(3), &Up::Tell(1)).unwrap(),
            frame::encode(Kind::Request(3), &Up::Shout("same id".to_owned())).unwrap(),
        ];
        let mut sent: Vec<u8> = start.iter().flat_map(|frame| sound[*frame].clone()).collect();
        sent.extend_from_slice(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let end = runtime.block_on(end_for(&sent));
        prop_assert!(matches!(end, CloseReason::Protocol(_) | CloseReason::PeerVanished | CloseReason::Io(_)), "{}", end);
    }
}

#[tokio::test]
async fn connections_run_over_unix_sockets_and_replace_stale_ones() {
    use flott_rpc::carrier::unix;

    let folder = own_folder();
    let path = folder.join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = unix::listen(&path).await.unwrap();
    let (near, far) = tokio::join!(unix::connect(&path), listener.accept());
    let (master, _keep): Master = Connection::start(near.unwrap(), Options::default());
    let (_worker, incoming): Worker = Connection::start(far.unwrap(), Options::default());
    serve(incoming);
    assert_eq!(master.call(Down::Double(21), SOON).await, Ok(Up::Tell(42)));

    let taken = unix::listen(&path).await.unwrap_err().to_string();
    assert!(taken.starts_with(&format!("cannot listen on Unix socket {}", path.display())), "{taken}");

    drop(listener);
    assert!(!path.exists());
    assert!(unix::connect(&path).await.is_err());
    std::fs::remove_dir(&folder).unwrap();
}

/// A folder for this test process alone.
fn own_folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("flott-rpc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

use std::time::Duration;

use super::*;
use crate::{
    Connection, Event, Incoming, carrier,
    frame::{self, Kind},
};

type End = Session<String, String>;

struct Peer {
    session: End,
    incoming: Option<Incoming<Packet, Packet>>,
}

impl Peer {
    fn new() -> Self {
        Self { session: Session::new(&Options::default()), incoming: None }
    }

    /// The next message.
    async fn hear(&mut self) -> String {
        loop {
            match self.incoming.as_mut().unwrap().next().await {
                Some(Event::Message(packet)) => {
                    if let Some(message) = self.session.receive(packet).unwrap() {
                        return message;
                    }
                }
                other => panic!("no packet: {other:?}"),
            }
        }
    }
}

/// Connects both; what was on its way is lost.
fn connect(ends: [&mut Peer; 2]) {
    let (one, other) = carrier::memory();
    let [first, second] = ends;
    let (heard_first, heard_second) = (first.session.received(), second.session.received());
    let (link, incoming) = Connection::start(one, Options::default());
    first.incoming = Some(incoming);
    first.session.resume(link, None, heard_second).unwrap();
    let (link, incoming) = Connection::start(other, Options::default());
    second.incoming = Some(incoming);
    second.session.resume(link, None, heard_first).unwrap();
}

#[tokio::test]
async fn what_was_said_without_a_connection_or_lost_with_one_is_said_again() {
    let (mut here, mut there) = (Peer::new(), Peer::new());
    here.session.send(&"early".into()).unwrap();
    connect([&mut here, &mut there]);
    assert_eq!(there.hear().await, "early");
    for message in ["lost", "lost too"] {
        here.session.send(&message.into()).unwrap();
    }
    there.session.send(&"lost there".into()).unwrap();
    connect([&mut here, &mut there]);
    here.session.send(&"last".into()).unwrap();
    for message in ["lost", "lost too", "last"] {
        assert_eq!(there.hear().await, message);
    }
    assert_eq!(here.hear().await, "lost there");
}

#[tokio::test]
async fn confirmations_make_room() {
    let (mut here, mut there) = (Peer::new(), Peer::new());
    connect([&mut here, &mut there]);
    let long = "x".repeat(20 << 20);
    for _ in 0..6 {
        here.session.send(&long).unwrap();
        assert_eq!(there.hear().await.len(), long.len());
        // Its own confirmation, sent for the bytes.
        let Some(Event::Message(packet)) = here.incoming.as_mut().unwrap().next().await else { panic!("closed") };
        assert!(matches!(packet, Packet::Received(_)), "{packet:?}");
        assert_eq!(here.session.receive(packet), Ok(None));
    }
    assert!(!here.session.is_crowded());
}

#[test]
fn without_confirmations_there_is_an_end() {
    let mut end = End::new(&Options::default());
    let long = "x".repeat(20 << 20);
    end.send(&long).unwrap();
    assert!(!end.is_crowded());
    end.send(&long).unwrap();
    assert!(end.is_crowded());
    end.send(&long).unwrap();
    assert!(matches!(end.send(&long), Err(SessionError::Full(_))));
    let many = &mut End::new(&Options::default());
    let error = (0..).find_map(|_| many.send(&String::new()).err());
    assert!(matches!(error, Some(SessionError::Full(Full { messages: 65_537, .. }))), "{error:?}");
}

#[test]
fn a_message_that_can_never_be_said_leaves_the_session_as_it_is() {
    let mut end = End::new(&Options::default());
    assert!(matches!(end.send(&"x".repeat(64 << 20)), Err(SessionError::TooLong { .. })));
    end.send(&String::new()).unwrap();
}

#[tokio::test]
async fn a_long_message_is_kept_and_queued_once_and_is_said_as_a_short_one() {
    let body = Bytes::from(vec![7; SHARED_BYTES_MIN]);
    let (number, received) = (Number(u64::MAX), Number(3));
    let tailed = frame::encode_tailed(Kind::Notify, &front(number, received, &body), body.clone()).unwrap();
    assert_eq!(tailed.tail.as_ptr(), body.as_ptr());
    let whole = frame::encode(Kind::Notify, &Packet::Message { number, received, body }).unwrap();
    assert_eq!(tailed.len(), whole.len());
    assert_eq!([&tailed.front[..], &tailed.tail, &tailed.checksum].concat(), whole);

    let (mut here, mut there) = (Peer::new(), Peer::new());
    here.session.send(&"before any connection".repeat(SHARED_BYTES_MIN)).unwrap();
    connect([&mut here, &mut there]);
    for message in ["short", &"x".repeat(SHARED_BYTES_MIN), "short again", &"y".repeat(1 << 20)] {
        here.session.send(&message.into()).unwrap();
    }
    for expected in [21 * SHARED_BYTES_MIN, 5, SHARED_BYTES_MIN, 11, 1 << 20] {
        assert_eq!(there.hear().await.len(), expected);
    }
}

#[track_caller]
fn check_violation(packet: Packet, expected: &str) {
    let error = End::new(&Options::default()).receive(packet).unwrap_err();
    assert_eq!(error.to_string(), format!("session violated by the peer: {expected}"));
}

#[test]
fn what_no_sound_peer_says_is_refused() {
    let message = |number, received, body: &'static [u8]| Packet::Message {
        number: Number(number),
        received: Number(received),
        body: Bytes::from_static(body),
    };
    check_violation(Packet::Open(Bytes::new()), "a connection is opened once");
    check_violation(message(2, 0, b""), "message 2 came where 1 was expected");
    let unsaid = "it claims to have heard up to 1, and only 0 messages were said";
    check_violation(message(1, 1, b""), unsaid);
    check_violation(Packet::Received(Number(1)), unsaid);
    assert!(End::new(&Options::default()).receive(message(1, 0, &[0xff; 3])).is_err());
}

#[tokio::test]
async fn a_peer_that_has_forgotten_is_not_resumed() {
    let (mut here, mut there) = (Peer::new(), Peer::new());
    connect([&mut here, &mut there]);
    here.session.send(&"one".into()).unwrap();
    there.hear().await;
    there.session.tell_received();
    let Some(Event::Message(packet)) = here.incoming.as_mut().unwrap().next().await else { panic!("closed") };
    here.session.receive(packet).unwrap();
    let link = here.session.link().unwrap().clone();
    let error = here.session.resume(link, None, Number(0)).unwrap_err();
    assert!(error.to_string().contains("heard up to 0, and has confirmed 1 before"), "{error}");
}

/// The whole buffer fits the queue of a connection, or a session that is nearly full could never be resumed.
#[tokio::test]
async fn a_full_session_is_resumed() {
    let (mut here, mut there) = (Peer::new(), Peer::new());
    let mut said = 0;
    while here.session.send(&"x".repeat(1000)).is_ok() {
        said += 1;
    }
    connect([&mut here, &mut there]);
    let heard = async {
        for _ in 0..said {
            there.hear().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap();
    assert!(said > 10_000, "{said}");
    assert!(here.session.link().unwrap().close_reason().is_none());
}

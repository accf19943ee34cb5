use flott_core::{
    codec,
    id::{InstanceId, WorkerId},
    message::Registration,
};
use flott_rpc::{Connection, Event, Incoming, carrier};

use super::*;

const LEADER: LeaderEpoch = LeaderEpoch(7);

fn key(instance: u8) -> WorkerKey {
    WorkerKey { worker: WorkerId("worker".into()), instance: InstanceId::from_bytes([instance; 16]) }
}

fn opening(session: Option<u64>, received: u64) -> Opening {
    Opening { worker: key(1), session: session.map(LeaderEpoch), received: MessageNumber(received) }
}

fn registration(instance: u8) -> FromWorker {
    FromWorker::Register(Registration {
        worker: key(instance).worker,
        instance: key(instance).instance,
        pid: 1,
        host: "host".into(),
        cpu_cores: 1,
        physical_memory: 1,
        memory: 1,
        slots: Vec::new(),
        allocated: Vec::new(),
        started_at: 1,
        version: "0".into(),
    })
}

fn goodbye(number: u64) -> FromWorker {
    FromWorker::Goodbye { reason: number.to_string() }
}

fn shutdown(number: u64) -> ToWorker {
    ToWorker::Shutdown { reason: number.to_string() }
}

fn packet(number: u64, received: u64, message: &FromWorker) -> Packet {
    let body = codec::to_vec(message).unwrap().into();
    Packet::Message { number: MessageNumber(number), received: MessageNumber(received), body }
}

/// A connection's end here, and the worker's.
fn dial() -> (Link, Incoming<Packet, Packet>) {
    let (here, there) = carrier::memory();
    let (link, incoming) = Connection::start(here, Options::default());
    // The other ends live until the connection closes.
    let (_, worker) = Connection::start(there, Options::default());
    tokio::spawn(async move {
        let mut incoming = incoming;
        while !matches!(incoming.next().await, Some(Event::Closed(_)) | None) {}
    });
    (link, worker)
}

async fn welcome(worker: &mut Incoming<Packet, Packet>) -> Welcome {
    match worker.next().await {
        Some(Event::Message(Packet::Open(welcome))) => codec::decode(&welcome).unwrap(),
        other => panic!("no welcome: {other:?}"),
    }
}

async fn hears(worker: &mut Incoming<Packet, Packet>) -> (u64, ToWorker) {
    match worker.next().await {
        Some(Event::Message(Packet::Message { number, body, .. })) => (number.0, codec::decode(&body).unwrap()),
        other => panic!("no message: {other:?}"),
    }
}

/// With one session, over a connection that is registered.
async fn begun() -> (Sessions, ConnectionNumber, Incoming<Packet, Packet>) {
    let mut sessions = Sessions::default();
    let (link, mut worker) = dial();
    let Opened::Begun(connection, _) = sessions.open(LEADER, &opening(None, 0), &link, &Options::default()) else {
        panic!("nothing begins")
    };
    assert_eq!(welcome(&mut worker).await, Welcome::Begun { leader: LEADER });
    assert_eq!(sessions.receive(&key(1), connection, packet(1, 0, &registration(1))), Some(Some(registration(1))));
    (sessions, connection, worker)
}

#[tokio::test]
async fn what_a_worker_missed_it_hears_on_the_next_connection() {
    let (mut sessions, first, _worker) = begun().await;
    sessions.send(&key(1), &shutdown(1));
    sessions.disconnected(&key(1), first);
    sessions.send(&key(1), &shutdown(2));
    let (link, mut worker) = dial();
    let opening = opening(Some(7), 0);
    let Opened::Waits(_) = sessions.open(LEADER, &opening, &link, &Options::default()) else { panic!("it has one") };
    let second = sessions.resume(&opening, &link).unwrap();
    assert!(second > first);
    assert_eq!(welcome(&mut worker).await, Welcome::Resumed { received: MessageNumber(1) });
    assert_eq!(hears(&mut worker).await, (1, shutdown(1)));
    assert_eq!(hears(&mut worker).await, (2, shutdown(2)));
    // What still comes over the earlier one is not taken; the same over the new one is, once.
    assert_eq!(sessions.receive(&key(1), first, packet(2, 0, &goodbye(2))), None);
    assert_eq!(sessions.receive(&key(1), second, packet(2, 2, &goodbye(2))), Some(Some(goodbye(2))));
    assert_eq!(sessions.receive(&key(1), second, packet(2, 2, &goodbye(2))), Some(None));
}

#[tokio::test]
async fn a_worker_that_was_given_up_is_told() {
    let (mut sessions, first, mut earlier) = begun().await;
    sessions.end(&key(1), "given up");
    assert!(matches!(earlier.next().await, Some(Event::Closed(_))));
    assert_eq!(sessions.receive(&key(1), first, packet(2, 0, &goodbye(2))), None);
    let (link, mut worker) = dial();
    let opened = sessions.open(LEADER, &opening(Some(7), 1), &link, &Options::default());
    assert!(matches!(opened, Opened::Over), "{opened:?}");
    assert_eq!(welcome(&mut worker).await, Welcome::Over { reason: "the worker was given up".into() });
}

#[tokio::test]
async fn a_session_with_another_leader_is_none() {
    let (link, mut worker) = dial();
    let opened = Sessions::default().open(LEADER, &opening(Some(6), 5), &link, &Options::default());
    assert!(matches!(opened, Opened::Begun(..)), "{opened:?}");
    assert_eq!(welcome(&mut worker).await, Welcome::Begun { leader: LEADER });
}

#[tokio::test]
async fn a_worker_that_has_forgotten_its_session_is_over() {
    let (mut sessions, ..) = begun().await;
    let (link, mut worker) = dial();
    let opened = sessions.open(LEADER, &opening(None, 0), &link, &Options::default());
    assert!(matches!(opened, Opened::Over), "{opened:?}");
    assert!(matches!(welcome(&mut worker).await, Welcome::Over { .. }));
}

#[tokio::test]
async fn a_claim_that_cannot_be_ends_the_session() {
    let (mut sessions, first, _worker) = begun().await;
    sessions.disconnected(&key(1), first);
    let (link, mut worker) = dial();
    assert_eq!(sessions.resume(&opening(Some(7), 9), &link), None);
    assert!(matches!(welcome(&mut worker).await, Welcome::Over { .. }));
    assert!(sessions.entries.is_empty());
}

#[tokio::test]
async fn without_a_registration_nothing_is_kept() {
    let mut sessions = Sessions::default();
    let (link, _worker) = dial();
    let Opened::Begun(connection, _) = sessions.open(LEADER, &opening(None, 0), &link, &Options::default()) else {
        panic!("nothing begins")
    };
    sessions.disconnected(&key(1), connection);
    assert!(sessions.entries.is_empty());
}

/// What a worker says first, or again, ends its session.
async fn check_first(messages: &[FromWorker], last: bool) {
    let mut sessions = Sessions::default();
    let (link, _worker) = dial();
    let Opened::Begun(connection, _) = sessions.open(LEADER, &opening(None, 0), &link, &Options::default()) else {
        panic!("nothing begins")
    };
    let heard = messages.iter().zip(1..);
    let heard: Vec<_> =
        heard.map(|(said, number)| sessions.receive(&key(1), connection, packet(number, 0, said)).is_some()).collect();
    assert_eq!(heard.last(), Some(&last), "{messages:?}");
    assert_eq!(sessions.entries.is_empty(), !last);
}

#[tokio::test]
async fn a_worker_registers_first_and_once_and_as_itself() {
    check_first(&[registration(1), goodbye(2)], true).await;
    check_first(&[goodbye(1)], false).await;
    check_first(&[registration(2)], false).await;
    check_first(&[registration(1), registration(1)], false).await;
}

#[tokio::test]
async fn a_worker_that_confirms_nothing_is_given_up_in_the_end() {
    let (mut sessions, first, _worker) = begun().await;
    sessions.disconnected(&key(1), first);
    let message = ToWorker::Shutdown { reason: "x".repeat(1 << 20) };
    for _ in 0..62 {
        sessions.send(&key(1), &message);
    }
    assert!(!sessions.entries.is_empty());
    for _ in 0..2 {
        sessions.send(&key(1), &message);
    }
    assert!(sessions.entries.is_empty());
}

//! Two ends of a session over connections that tear at any moment, are slow, and overlap.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Arrival, Ledger, Number, Packet, Session};
use crate::Options;

const MESSAGES_MAX: usize = 12;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// An end says something.
    Say(usize),
    /// An end's next packet of the newest connection arrives.
    Deliver(usize),
    /// One of a connection that was replaced does.
    Straggle(usize),
    /// An end tells how far it has heard.
    Confirm(usize),
    /// The connection tears, and nothing of it is lost yet: it may still arrive, or not.
    Tear,
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0..2usize;
    prop_oneof![
        6 => end.clone().prop_map(Step::Say),
        8 => end.clone().prop_map(Step::Deliver),
        2 => end.clone().prop_map(Step::Straggle),
        2 => end.prop_map(Step::Confirm),
        2 => Just(Step::Tear),
    ]
}

#[derive(Debug, Clone)]
struct Sent {
    /// Number and content; nothing is a bare confirmation.
    message: Option<(Number, u32)>,
    received: Number,
}

struct End {
    ledger: Ledger<u32>,
    said: Vec<u32>,
    heard: Vec<u32>,
    /// On their way to the other end, over the newest connection, and over older ones.
    wire: VecDeque<Sent>,
    old: VecDeque<Sent>,
}

impl End {
    fn new() -> Self {
        let ledger = Ledger::new(MESSAGES_MAX, usize::MAX);
        Self { ledger, said: Vec::new(), heard: Vec::new(), wire: VecDeque::new(), old: VecDeque::new() }
    }

    fn say(&mut self) {
        let content = self.said.len() as u32;
        match self.ledger.push(content, 1) {
            Ok(number) => {
                self.said.push(content);
                self.put(Some((number, content)));
            }
            // The producer waits.
            Err(full) => assert_eq!(full.messages, MESSAGES_MAX + 1),
        }
    }

    fn put(&mut self, message: Option<(Number, u32)>) {
        self.ledger.told();
        self.wire.push_back(Sent { message, received: self.ledger.received() });
    }

    fn hear(&mut self, sent: Sent) {
        self.ledger.confirmed(sent.received).unwrap();
        if let Some((number, content)) = sent.message
            && self.ledger.arrive(number).unwrap() == Arrival::New
        {
            self.heard.push(content);
        }
    }

    fn resume(&mut self, peer_received: Number) {
        self.ledger.resume(peer_received).unwrap();
        self.old.extend(self.wire.drain(..));
        let again: Vec<_> = self.ledger.unconfirmed().map(|(number, content)| (number, *content)).collect();
        again.into_iter().for_each(|message| self.put(Some(message)));
    }
}

fn tear(ends: &mut [End; 2]) {
    let received = [ends[0].ledger.received(), ends[1].ledger.received()];
    ends[0].resume(received[1]);
    ends[1].resume(received[0]);
}

proptest! {
    #[test]
    fn everything_arrives_once_and_in_order(steps in prop::collection::vec(step(), 0..300)) {
        let mut ends = [End::new(), End::new()];
        for step in steps {
            match step {
                Step::Say(end) => ends[end].say(),
                Step::Deliver(end) => {
                    if let Some(sent) = ends[end].wire.pop_front() {
                        ends[1 - end].hear(sent);
                    }
                }
                Step::Straggle(end) => {
                    if let Some(sent) = ends[end].old.pop_front() {
                        ends[1 - end].hear(sent);
                    }
                }
                Step::Confirm(end) => ends[end].put(None),
                Step::Tear => tear(&mut ends),
            }
            for end in 0..2 {
                prop_assert_eq!(&ends[1 - end].heard[..], &ends[end].said[..ends[1 - end].heard.len()]);
            }
        }
        tear(&mut ends);
        for end in 0..2 {
            while let Some(sent) = ends[end].wire.pop_front() {
                ends[1 - end].hear(sent);
            }
            prop_assert_eq!(&ends[1 - end].heard, &ends[end].said);
        }
    }

    /// Whatever a peer claims: it is refused, or nothing is skipped.
    #[test]
    fn claims_are_checked(said in 0..8u64, confirmed in 0..8u64, claim in 0..20u64, number in any::<u64>()) {
        let mut ledger = Ledger::new(MESSAGES_MAX, usize::MAX);
        for content in 1..=said {
            ledger.push(content, 1).unwrap();
        }
        let confirmed = confirmed.min(said);
        ledger.confirmed(Number(confirmed)).unwrap();
        let resumed = ledger.clone().resume(Number(claim)).is_ok();
        prop_assert_eq!(resumed, (confirmed..=said).contains(&claim));
        if resumed {
            ledger.resume(Number(claim)).unwrap();
            prop_assert_eq!(ledger.unconfirmed().map(|(_, content)| *content).collect::<Vec<_>>(), (claim + 1..=said).collect::<Vec<_>>());
        }
        let heard = ledger.clone().arrive(Number(number));
        prop_assert_eq!(heard.is_ok(), number <= 1);
    }

    /// Bytes and numbers of a peer that means harm end the session at worst.
    #[test]
    fn arbitrary_packets_never_panic(
        bytes in any::<Vec<u8>>(),
        packets in prop::collection::vec((0..3u64, 0..3u64, any::<Vec<u8>>()), 0..20),
    ) {
        let mut session = Session::<String, String>::new(&Options::default());
        session.send(&"said".to_owned()).unwrap();
        let numbered = packets.into_iter().map(|(number, received, body)| {
            Packet::Message { number: Number(number), received: Number(received), body: body.into() }
        });
        for packet in flott_core::codec::decode::<Packet>(&bytes).into_iter().chain(numbered) {
            if session.receive(packet).is_err() {
                break;
            }
        }
    }
}

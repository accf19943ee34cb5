//! Monitor new users: who has entered the system and opened an auction in the same ten seconds.

use std::time::Duration;

use compact_str::CompactString;
use flott::{Aggregate, Stream, TumblingEventTimeWindows};
use serde::{Deserialize, Serialize};

use crate::event::{Event, Time};

const SIZE: Duration = Duration::from_secs(10);

/// `SELECT P.id, P.name, P.starttime FROM (SELECT id, name, window_start AS starttime, window_end AS endtime FROM
/// TABLE(TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) GROUP BY id, name, window_start, window_end) P
/// JOIN (SELECT seller, … FROM TABLE(TUMBLE(TABLE auction, …)) GROUP BY seller, window_start, window_end) A ON P.id =
/// A.seller AND P.starttime = A.starttime AND P.endtime = A.endtime`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    id: u64,
    name: CompactString,
    starttime: Time,
}

impl super::Row for Row {}

#[derive(Clone, Serialize, Deserialize)]
enum Side {
    Person { id: u64, name: CompactString },
    Auction { seller: u64 },
}

/// Both sides by the person's id, folded to whether each was there: so the join needs no list of either.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    events
        .flat_map(|event, out| match event {
            Event::Person(person) => out.emit(Side::Person { id: person.id, name: person.name().into() }),
            Event::Auction(auction) => out.emit(Side::Auction { seller: auction.seller }),
            Event::Bid(_) => {}
        })
        .name("people and sellers")
        .key_by(|side| match side {
            Side::Person { id, .. } => *id,
            Side::Auction { seller } => *seller,
        })
        .window(TumblingEventTimeWindows::of(SIZE))
        .aggregate_with(Join, |id, window, name, out| {
            if let Some(name) = name {
                out.emit(Row { id: *id, name, starttime: Time(window.start) });
            }
        })
        .name("new sellers")
}

#[derive(Clone)]
struct Join;

impl Aggregate for Join {
    type In = Side;
    /// The name of who has entered, and whether an auction was opened.
    type Accumulator = (Option<CompactString>, bool);
    type Out = Option<CompactString>;

    fn create(&self) -> Self::Accumulator {
        (None, false)
    }

    fn add(&self, (entered, opened): &mut Self::Accumulator, side: Side) {
        match side {
            Side::Person { name, .. } => *entered = Some(name),
            Side::Auction { .. } => *opened = true,
        }
    }

    fn result(&self, (entered, opened): &Self::Accumulator) -> Option<CompactString> {
        entered.clone().filter(|_| *opened)
    }

    fn merge(&self, (entered, opened): &mut Self::Accumulator, other: Self::Accumulator) {
        *entered = entered.take().or(other.0);
        *opened |= other.1;
    }
}

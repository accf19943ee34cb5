//! User sessions: how many bids each person makes, until there is none for ten seconds.

use std::time::Duration;

use flott::{EventTimeSessionWindows, Stream};
use serde::{Deserialize, Serialize};

use super::count::Count;
use crate::event::{Event, Time};

const GAP: Duration = Duration::from_secs(10);

/// `SELECT B.bidder, count(*) AS bid_count, SESSION_START(B.dateTime, INTERVAL '10' SECOND) AS starttime,
/// SESSION_END(B.dateTime, INTERVAL '10' SECOND) AS endtime FROM bid B GROUP BY B.bidder, SESSION(B.dateTime, INTERVAL '10'
/// SECOND)`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    bidder: u64,
    bid_count: u64,
    starttime: Time,
    endtime: Time,
}

impl super::Row for Row {}

/// Sessions of each bidder.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| Some(bid.bidder))
        .name("bidders")
        .key_by(|bidder| *bidder)
        .window(EventTimeSessionWindows::with_gap(GAP))
        .aggregate_with(Count::default(), |bidder, window, bid_count, out| {
            let (starttime, endtime) = (Time(window.start), Time(window.end));
            out.emit(Row { bidder: *bidder, bid_count, starttime, endtime });
        })
        .name("sessions")
}

//! Highest bid: of every ten seconds, the bids with the highest price.
//!
//! A window has the bids from its start on and before its end, and gives all that have its highest price.

use std::time::Duration;

use flott::{Stream, TumblingEventTimeWindows};
use serde::{Deserialize, Serialize};

use super::greatest::{Greatest, Leaders, Ranked};
use crate::event::{Event, Extra, Time};

const SIZE_MS: i64 = 10_000;

/// `SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra FROM bid B JOIN (SELECT MAX(price) AS maxprice, window_end AS
/// dateTime FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) GROUP BY window_start, window_end) B1
/// ON B.price = B1.maxprice WHERE B.dateTime BETWEEN B1.dateTime - INTERVAL '10' SECOND AND B1.dateTime`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    extra: Extra,
}

impl super::Row for Row {}

impl Ranked for Row {
    fn number(&self) -> u64 {
        self.price
    }
}

/// The number of the window that `time` lies in.
#[inline]
fn window(time: Time) -> i64 {
    time.0.div_euclid(SIZE_MS)
}

/// The highest bids that a reader has seen of each window, and then the highest of all.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let mut leaders = Leaders::default();
    super::of_bids(events, move |bid| {
        let (auction, bidder, price, date_time) = (bid.auction, bid.bidder, bid.price, bid.date_time);
        let leads = leaders.leads(window(date_time), price);
        leads.then(|| Row { auction, bidder, price, date_time, extra: bid.into_extra() })
    })
    .name("highest of a subtask")
    .key_by(|row| window(row.date_time))
    .window(TumblingEventTimeWindows::of(Duration::from_millis(SIZE_MS as u64)))
    .aggregate_with(Greatest::default(), |_, _, highest: Vec<Row>, out| out.emit_all(highest))
    .name("highest bids")
}

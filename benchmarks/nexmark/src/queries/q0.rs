//! Pass through: all bids. What is left is the cost of getting them.

use flott::Stream;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Extra, Time};

/// `SELECT auction, bidder, price, dateTime, extra FROM bid`
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

/// A projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let (auction, bidder, price, date_time) = (bid.auction, bid.bidder, bid.price, bid.date_time);
        Some(Row { auction, bidder, price, date_time, extra: bid.into_extra() })
    })
}

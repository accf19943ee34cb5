//! Currency conversion: all bids, with prices in euros.

use flott::Stream;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::event::{Event, Extra, Time};

/// `SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: Decimal,
    date_time: Time,
    extra: Extra,
}

impl super::Row for Row {}

/// A projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let (auction, bidder, price, date_time) = (bid.auction, bid.bidder, Decimal::euros(bid.price), bid.date_time);
        Some(Row { auction, bidder, price, date_time, extra: bid.into_extra() })
    })
}

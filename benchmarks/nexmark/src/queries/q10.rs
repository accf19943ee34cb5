//! Log to a file system: all bids, with the day and the minute by which a log is partitioned.
//!
//! # Layout
//! - [`log`]: the files

pub mod log;

use flott::Stream;
use serde::{Deserialize, Serialize};

use crate::event::{Day, Event, Extra, Minute, Time};

/// `SELECT auction, bidder, price, dateTime, extra, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS dt,
/// DATE_FORMAT(dateTime, 'HH:mm') AS hm FROM bid`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    extra: Extra,
    dt: Day,
    hm: Minute,
}

impl super::Row for Row {}

/// A projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let (auction, bidder, price, date_time) = (bid.auction, bid.bidder, bid.price, bid.date_time);
        let (dt, hm) = (date_time.day(), date_time.minute());
        Some(Row { auction, bidder, price, date_time, extra: bid.into_extra(), dt, hm })
    })
}

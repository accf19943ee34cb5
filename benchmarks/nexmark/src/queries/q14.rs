//! Calculation: bids of a range of prices, with the time of day in words and a count of letters.

use flott::Stream;
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::event::{Event, Extra, Time};

/// The range of prices, without its ends.
const PRICES: (Decimal, Decimal) = (Decimal(1_000_000_000), Decimal(50_000_000_000));

/// When of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeType {
    /// From 8 o'clock on, the hour after 18 included.
    DayTime,
    /// Before 7 o'clock, and from 20 on.
    NightTime,
    /// Between these.
    OtherTime,
}

impl TimeType {
    fn of(hour: u32) -> Self {
        match hour {
            8..=18 => Self::DayTime,
            0..=6 | 20.. => Self::NightTime,
            7 | 19 => Self::OtherTime,
        }
    }
}

/// `SELECT auction, bidder, 0.908 * price AS price, CASE … END AS bidTimeType, dateTime, extra,
/// count_char(extra, 'c') AS c_counts FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: Decimal,
    bid_time_type: TimeType,
    date_time: Time,
    extra: Extra,
    #[serde(rename = "c_counts")]
    c_counts: u64,
}

impl super::Row for Row {}

/// A filter and a projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let price = Decimal::euros(bid.price);
        if price <= PRICES.0 || price >= PRICES.1 {
            return None;
        }
        let (auction, bidder, date_time) = (bid.auction, bid.bidder, bid.date_time);
        let c_counts = memchr_iter(b'c', bid.extra().as_bytes()).count() as u64;
        let bid_time_type = TimeType::of(date_time.hour());
        Some(Row { auction, bidder, price, bid_time_type, date_time, extra: bid.into_extra(), c_counts })
    })
}

//! Auction statistics: for each auction and day, how many bids there were in three ranges of prices, and the prices.

use flott::{Aggregate, Stream};
use serde::{Deserialize, Serialize};

use super::tally::rank;
use crate::event::{Day, Event};

/// `SELECT auction, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS day, count(*) AS total_bids, count(*) FILTER (WHERE price <
/// 10000) AS rank1_bids, …, min(price), max(price), avg(price), sum(price) FROM bid GROUP BY auction, day`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    auction: u64,
    day: Day,
    total_bids: u64,
    rank1_bids: u64,
    rank2_bids: u64,
    rank3_bids: u64,
    min_price: u64,
    max_price: u64,
    avg_price: u64,
    sum_price: u64,
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(format!("{} {}", self.auction, self.day))
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Price {
    auction: u64,
    day: Day,
    price: u64,
}

/// An aggregation by auction and day.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| Some(Price { auction: bid.auction, day: bid.date_time.day(), price: bid.price }))
        .name("prices")
        .key_by(|price| (price.auction, price.day.0))
        .aggregate(Statistics)
        .name("statistics")
        .map(|((auction, day), prices)| {
            let Prices { bids: [rank1_bids, rank2_bids, rank3_bids], min, max, sum } = prices;
            let total_bids = rank1_bids + rank2_bids + rank3_bids;
            Row {
                auction,
                day: Day(day),
                total_bids,
                rank1_bids,
                rank2_bids,
                rank3_bids,
                min_price: min,
                max_price: max,
                avg_price: sum / total_bids.max(1),
                sum_price: sum,
            }
        })
}

#[derive(Clone, Serialize, Deserialize)]
struct Prices {
    /// Bids by range of prices.
    bids: [u64; 3],
    min: u64,
    max: u64,
    sum: u64,
}

#[derive(Clone)]
struct Statistics;

impl Aggregate for Statistics {
    type In = Price;
    type Accumulator = Prices;
    type Out = Prices;

    fn create(&self) -> Prices {
        Prices { bids: [0; 3], min: u64::MAX, max: 0, sum: 0 }
    }

    fn add(&self, prices: &mut Prices, Price { price, .. }: Price) {
        prices.bids[rank(price)] += 1;
        prices.min = prices.min.min(price);
        prices.max = prices.max.max(price);
        prices.sum += price;
    }

    fn result(&self, prices: &Prices) -> Prices {
        prices.clone()
    }

    fn merge(&self, into: &mut Prices, other: Prices) {
        into.bids.iter_mut().zip(other.bids).for_each(|(sum, bids)| *sum += bids);
        into.min = into.min.min(other.min);
        into.max = into.max.max(other.max);
        into.sum += other.sum;
    }
}

//! Average selling price by seller: of the last ten auctions that have closed with a winning bid.
//!
//! Auctions close in the order in which they expire, and of those that expire at once the one with the smaller id goes
//! first. Each gives a row. The auctions of a seller come from several subtasks, so they are put in order once more: all
//! that have expired at a time are known when the watermark has reached it.

use std::collections::{BTreeMap, VecDeque};

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, Timer, ValueState};
use serde::{Deserialize, Serialize};

use super::final_price::{FinalPrice, final_prices};
use crate::event::{Event, Time};

/// Auctions of an average.
const LAST: usize = 10;

/// `SELECT Q.seller, AVG(Q.final) OVER (PARTITION BY Q.seller ORDER BY Q.dateTime ROWS BETWEEN 10 PRECEDING AND CURRENT
/// ROW) FROM (SELECT MAX(B.price) AS final, A.seller, B.dateTime FROM auction AS A, bid AS B WHERE A.id = B.auction AND
/// B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY A.id, A.seller) AS Q`, were there an engine that runs it
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    seller: u64,
    avg_price: u64,
}

impl super::Row for Row {}

/// The final price of each auction, then the last ones of each seller.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    final_prices(events, |auction| auction.seller)
        .key_by(|last| last.group)
        .process(LastPrices::default())
        .name("last prices")
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Seller {
    /// Prices of auctions that others may still go before, by when they have closed.
    closed: BTreeMap<(Time, u64), u64>,
    /// The last prices, oldest first.
    last: VecDeque<u64>,
}

impl Seller {
    /// Takes the next auction that has closed by `at`; the average with it.
    fn next(&mut self, at: i64) -> Option<u64> {
        let entry = self.closed.first_entry().filter(|entry| entry.key().0.0 <= at)?;
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(entry.remove());
        Some(self.last.iter().sum::<u64>() / self.last.len() as u64)
    }
}

#[derive(Clone, Default)]
struct LastPrices {
    sellers: ValueState<Seller>,
}

impl KeyedProcessFunction for LastPrices {
    type Key = u64;
    type In = FinalPrice;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.sellers = ctx.value("sellers")?;
        Ok(())
    }

    fn process(&mut self, price: FinalPrice, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        let FinalPrice { id, expires, price, .. } = price;
        self.sellers.get_or_insert_with(ctx, Seller::default)?.closed.insert((expires, id), price);
        ctx.register_event_time_timer(expires.0)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        let seller = *ctx.key()?;
        while let Some(avg_price) = self.sellers.get_or_insert_with(ctx, Seller::default)?.next(timer.at) {
            ctx.emit(Row { seller, avg_price });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flott::{Failure, testing::Harness};

    use super::*;

    #[test]
    fn auctions_that_close_at_once_are_in_the_order_of_their_ids() -> Result<(), Failure> {
        let last = |prices: Stream<FinalPrice>| prices.key_by(|last| last.group).process(LastPrices::default());
        let mut harness = Harness::new(last);
        for (id, expires, price) in [(3, 20, 300), (2, 20, 100), (1, 10, 50), (4, 30, 9_000)] {
            harness.push_at(FinalPrice { id, group: 7, expires: Time(expires), price }, expires)?;
        }
        harness.watermark(20)?;
        let rows: Vec<(u64, u64)> = harness.take().into_iter().map(|row| (row.seller, row.avg_price)).collect();
        assert_eq!(rows, [(7, 50), (7, 75), (7, 150)]);
        Ok(())
    }

    #[test]
    fn ten_auctions_are_averaged() {
        let mut seller = Seller::default();
        for price in 1..=12 {
            seller.closed.insert((Time(price), 0), price as u64);
        }
        let averages: Vec<u64> = std::iter::from_fn(|| seller.next(i64::MAX)).collect();
        // The last two leave out 1, and 1 and 2.
        assert_eq!(averages, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7]);
    }
}

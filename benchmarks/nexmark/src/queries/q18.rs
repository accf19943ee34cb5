//! Last bids: of each bidder for each auction.
//!
//! The SQL leaves open which of several bids of one time is the last; here the one with the highest price, then with the
//! greatest channel, URL and `extra`.

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, ValueState};

use crate::event::{Bid, Event};

/// `SELECT auction, bidder, price, channel, url, dateTime, extra FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder,
/// auction ORDER BY dateTime DESC) AS rank_number FROM bid) WHERE rank_number <= 1`
pub type Row = Bid;

impl super::Row for Bid {
    fn key(&self) -> Option<String> {
        Some(format!("{} {}", self.bidder, self.auction))
    }
}

/// The bids of each bidder for each auction meet, and the last stays.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, Some)
        .name("bids")
        .key_by(|bid| (bid.bidder, bid.auction))
        .process(Last::default())
        .name("last bids")
}

#[derive(Clone, Default)]
struct Last {
    last: ValueState<Bid>,
}

/// Whether `bid` came after `last`.
fn later(bid: &Bid, last: &Bid) -> bool {
    let numbers = |bid: &Bid| (bid.date_time, bid.price);
    let order = numbers(bid).cmp(&numbers(last));
    order
        .then_with(|| bid.channel().cmp(last.channel()))
        .then_with(|| bid.url().cmp(last.url()))
        .then_with(|| bid.extra().cmp(last.extra()))
        .is_gt()
}

impl KeyedProcessFunction for Last {
    type Key = (u64, u64);
    type In = Bid;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, (u64, u64)>) -> FunctionResult {
        self.last = ctx.value("last")?;
        Ok(())
    }

    fn process(&mut self, bid: Bid, ctx: &mut KeyedContext<'_, (u64, u64), Row>) -> FunctionResult {
        if self.last.get(ctx)?.is_none_or(|last| later(&bid, last)) {
            self.last.set(ctx, bid.clone())?;
            ctx.emit(bid);
        }
        Ok(())
    }
}

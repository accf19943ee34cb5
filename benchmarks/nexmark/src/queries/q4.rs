//! Average price for a category: of the winning bids of its auctions.
//!
//! The average changes with each bid that becomes its auction's best, so there is a row for each of them; averages are
//! whole numbers, as SQL has them of whole numbers.

use flott::{Aggregate, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, ValueState};
use serde::{Deserialize, Serialize};

use super::winning::Winning;
use crate::event::{Event, Time};

/// `SELECT Q.category, AVG(Q.final) FROM (SELECT MAX(B.price) AS final, A.category FROM auction A, bid B WHERE A.id =
/// B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY A.id, A.category) Q GROUP BY Q.category`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    id: u64,
    #[serde(rename = "final")]
    average: u64,
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

#[derive(Clone, Serialize, Deserialize)]
enum Side {
    Auction { id: u64, from: Time, to: Time, category: u64 },
    Bid { auction: u64, time: Time, price: u64 },
}

/// How the final prices of a category have changed.
#[derive(Clone, Serialize, Deserialize)]
struct Change {
    category: u64,
    /// Auctions that have got a price.
    auctions: u64,
    /// By how much the sum has grown.
    more: u64,
}

/// The best price of each auction, then the average of each category.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    events
        .flat_map(|event, out| match event {
            Event::Auction(auction) => out.emit(Side::Auction {
                id: auction.id,
                from: auction.date_time,
                to: auction.expires,
                category: auction.category,
            }),
            Event::Bid(bid) => out.emit(Side::Bid { auction: bid.auction, time: bid.date_time, price: bid.price }),
            Event::Person(_) => {}
        })
        .name("auctions and bids")
        .key_by(|side| match side {
            Side::Auction { id, .. } => *id,
            Side::Bid { auction, .. } => *auction,
        })
        .process(Best::default())
        .name("best prices")
        .key_by(|change| change.category)
        .aggregate(Average)
        .name("averages")
        .map(|(id, average)| Row { id, average })
}

#[derive(Clone, Default)]
struct Best {
    /// Category and best price.
    winning: ValueState<Winning<u64, u64>>,
}

impl KeyedProcessFunction for Best {
    type Key = u64;
    type In = Side;
    type Out = Change;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.winning = ctx.value("winning")?;
        Ok(())
    }

    fn process(&mut self, side: Side, ctx: &mut KeyedContext<'_, u64, Change>) -> FunctionResult {
        let winning = self.winning.get_or_insert_with(ctx, Winning::default)?;
        let higher = |price: &u64, best: &u64| price > best;
        let change = match side {
            Side::Auction { from, to, category, .. } => {
                let both = winning.auction(category, from, to, higher);
                both.map(|(category, price)| Change { category: *category, auctions: 1, more: *price })
            }
            Side::Bid { time, price, .. } => winning.bid(price, time, higher).map(|(category, before)| Change {
                category: *category,
                auctions: u64::from(before.is_none()),
                more: price - before.unwrap_or(0),
            }),
        };
        if let Some(change) = change {
            ctx.emit(change);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Average;

impl Aggregate for Average {
    type In = Change;
    /// Auctions, and the sum of their prices.
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (auctions, sum): &mut (u64, u64), change: Change) {
        *auctions += change.auctions;
        *sum += change.more;
    }

    fn result(&self, (auctions, sum): &(u64, u64)) -> u64 {
        sum / (*auctions).max(1)
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        into.0 += other.0;
        into.1 += other.1;
    }
}

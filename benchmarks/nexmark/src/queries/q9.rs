//! Winning bids: each auction that has a bid, with its best.
//!
//! The best is the highest, of equal ones the earliest. The SQL leaves open which of those is it that are equal in both;
//! here the one of the bidder with the smallest id, then the one with the smallest `extra`.

use std::{borrow::Cow, cmp::Reverse, sync::Arc};

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, ValueState};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::winning::Winning;
use crate::event::{Auction, Bid, Event, Text, Time};

/// `SELECT id, itemName, … FROM (SELECT A.*, B.auction, B.bidder, B.price, B.dateTime AS bid_dateTime, B.extra AS
/// bid_extra, ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime ASC) AS rownum FROM auction A, bid B
/// WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires) WHERE rownum <= 1`
#[derive(Debug, Clone)]
pub struct Row {
    auction: Arc<Auction>,
    bid: Bid,
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(self.auction.id.to_string())
    }
}

/// Auctions and bids by the auction's id.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    events
        .filter(|event| !matches!(event, Event::Person(_)))
        .name("auctions and bids")
        .key_by(|event| match event {
            Event::Auction(auction) => auction.id,
            Event::Bid(bid) => bid.auction,
            Event::Person(person) => person.id,
        })
        .process(Winner::default())
        .name("winning bids")
}

#[derive(Clone, Default)]
struct Winner {
    winning: ValueState<Winning<Arc<Auction>, Bid>>,
}

/// Whether `bid` goes before `best`.
fn better(bid: &Bid, best: &Bid) -> bool {
    let numbers = |bid: &Bid| (Reverse(bid.price), bid.date_time, bid.bidder);
    numbers(bid).cmp(&numbers(best)).then_with(|| bid.extra().cmp(best.extra())).is_lt()
}

impl KeyedProcessFunction for Winner {
    type Key = u64;
    type In = Event;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.winning = ctx.value("winning")?;
        Ok(())
    }

    fn process(&mut self, event: Event, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        let winning = self.winning.get_or_insert_with(ctx, Winning::default)?;
        let row = match event {
            Event::Auction(auction) => {
                let (from, to) = (auction.date_time, auction.expires);
                let both = winning.auction(Arc::from(auction), from, to, better);
                both.map(|(auction, bid)| Row { auction: auction.clone(), bid: bid.clone() })
            }
            Event::Bid(bid) => {
                let time = bid.date_time;
                let auction = winning.bid(bid, time, better).map(|(auction, _)| auction.clone());
                auction.zip(winning.best()).map(|(auction, bid)| Row { auction, bid: bid.clone() })
            }
            Event::Person(_) => None,
        };
        if let Some(row) = row {
            ctx.emit(row);
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Columns<'a> {
    id: u64,
    #[serde(borrow)]
    item_name: Cow<'a, str>,
    #[serde(borrow)]
    description: Cow<'a, str>,
    initial_bid: u64,
    reserve: u64,
    date_time: Time,
    expires: Time,
    seller: u64,
    category: u64,
    #[serde(borrow)]
    extra: Cow<'a, str>,
    auction: u64,
    bidder: u64,
    price: u64,
    #[serde(rename = "bid_dateTime")]
    bid_date_time: Time,
    #[serde(rename = "bid_extra", borrow)]
    bid_extra: Cow<'a, str>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { auction, bid } = self;
        let columns = Columns {
            id: auction.id,
            item_name: auction.item_name().into(),
            description: auction.description().into(),
            initial_bid: auction.initial_bid,
            reserve: auction.reserve,
            date_time: auction.date_time,
            expires: auction.expires,
            seller: auction.seller,
            category: auction.category,
            extra: auction.extra().into(),
            auction: bid.auction,
            bidder: bid.bidder,
            price: bid.price,
            bid_date_time: bid.date_time,
            bid_extra: bid.extra().into(),
        };
        columns.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = Columns::deserialize(deserializer)?;
        let auction = Auction {
            id: columns.id,
            initial_bid: columns.initial_bid,
            reserve: columns.reserve,
            date_time: columns.date_time,
            expires: columns.expires,
            seller: columns.seller,
            category: columns.category,
            text: Text::new([&columns.item_name, &columns.description], &columns.extra),
        };
        let Columns { auction: of, bidder, price, bid_date_time, bid_extra, .. } = columns;
        let bid = Bid::new(of, bidder, price, "", "", bid_date_time, &bid_extra);
        Ok(Self { auction: Arc::new(auction), bid })
    }
}

//! Top prices: the ten highest bids of each auction, numbered.
//!
//! A bid that gets among them moves others down, so there is a row for it and for each that has a new number. The SQL
//! leaves open how equal prices are numbered; here by time, then by bidder, `extra`, channel and URL.

use std::{borrow::Cow, cmp::Reverse};

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, ValueState};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{Bid, Event, Time};

/// Bids of an auction that are kept.
const TOP: usize = 10;

/// `SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) WHERE
/// rank_number <= 10`
#[derive(Debug, Clone)]
pub struct Row {
    bid: Bid,
    rank_number: u64,
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(format!("{} {}", self.bid.auction, self.rank_number))
    }
}

/// The bids of each auction meet, and the highest stay.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, Some).name("bids").key_by(|bid| bid.auction).process(Top::default()).name("top prices")
}

#[derive(Clone, Default)]
struct Top {
    /// Highest first.
    top: ValueState<Vec<Bid>>,
    /// Rows to give out; kept for its room.
    rows: Vec<Row>,
}

/// Whether `bid` goes before `other`.
fn before(bid: &Bid, other: &Bid) -> bool {
    let numbers = |bid: &Bid| (Reverse(bid.price), bid.date_time, bid.bidder);
    let order = numbers(bid).cmp(&numbers(other));
    order
        .then_with(|| bid.extra().cmp(other.extra()))
        .then_with(|| bid.channel().cmp(other.channel()))
        .then_with(|| bid.url().cmp(other.url()))
        .is_lt()
}

impl KeyedProcessFunction for Top {
    type Key = u64;
    type In = Bid;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.top = ctx.value("top")?;
        Ok(())
    }

    fn process(&mut self, bid: Bid, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        let top = self.top.get_or_insert_with(ctx, Vec::new)?;
        let place = top.iter().position(|other| before(&bid, other)).unwrap_or(top.len());
        if place >= TOP {
            return Ok(());
        }
        top.truncate(TOP - 1);
        top.insert(place, bid);
        let moved = (place as u64 + 1..).zip(&top[place..]);
        self.rows.extend(moved.map(|(rank_number, bid)| Row { bid: bid.clone(), rank_number }));
        self.rows.drain(..).for_each(|row| ctx.emit(row));
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Columns<'a> {
    auction: u64,
    bidder: u64,
    price: u64,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    date_time: Time,
    #[serde(borrow)]
    extra: Cow<'a, str>,
    #[serde(rename = "rank_number")]
    rank_number: u64,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { bid, rank_number } = self;
        let columns = Columns {
            auction: bid.auction,
            bidder: bid.bidder,
            price: bid.price,
            channel: bid.channel().into(),
            url: bid.url().into(),
            date_time: bid.date_time,
            extra: bid.extra().into(),
            rank_number: *rank_number,
        };
        columns.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Columns { auction, bidder, price, channel, url, date_time, extra, rank_number } =
            Columns::deserialize(deserializer)?;
        Ok(Self { bid: Bid::new(auction, bidder, price, &channel, &url, date_time, &extra), rank_number })
    }
}

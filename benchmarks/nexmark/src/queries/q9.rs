//! Winning bids: each auction that has a bid, with its best, when it closes.
//!
//! The best is the highest, of equal ones the earliest. The SQL leaves open which of those is it that are equal in both;
//! here the one of the bidder with the smallest id, then the one with the smallest `extra`.

use std::{borrow::Cow, cmp::Reverse};

use flott::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::winning::{Entry, Offer, won};
use crate::event::{Auction, Bid, Event, Text, Time};

/// `SELECT id, itemName, … FROM (SELECT A.*, B.auction, B.bidder, B.price, B.dateTime AS bid_dateTime, B.extra AS
/// bid_extra, ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime ASC) AS rownum FROM auction A, bid B
/// WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires) WHERE rownum <= 1`
#[derive(Debug, Clone)]
pub struct Row {
    auction: Box<Auction>,
    bid: Bid,
}

impl super::Row for Row {}

/// Auctions and bids by the auction's id.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let entries = events.flat_map(|event, out| match event {
        Event::Bid(bid) => out.emit(Entry::Offer(bid)),
        Event::Auction(auction) => out.emit(Entry::Sale(auction)),
        Event::Person(_) => {}
    });
    won(&entries.name("auctions and bids")).map(|won| Row { auction: won.sale, bid: won.offer }).name("rows")
}

impl Offer for Bid {
    fn auction(&self) -> u64 {
        self.auction
    }

    fn time(&self) -> Time {
        self.date_time
    }

    fn is_better(&self, best: &Self) -> bool {
        let numbers = |bid: &Self| (Reverse(bid.price), bid.date_time, bid.bidder);
        numbers(self).cmp(&numbers(best)).then_with(|| self.extra().cmp(best.extra())).is_lt()
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
        Ok(Self { auction: Box::new(auction), bid })
    }
}

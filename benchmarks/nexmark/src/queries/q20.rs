//! Bids with their auctions: those of one category.
//!
//! Of auctions of other categories only the id is sent, so that their bids need not wait for ever.

use std::{borrow::Cow, sync::Arc};

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, ValueState};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{Auction, Bid, Event, Text, Time};

const CATEGORY: u64 = 10;

/// `SELECT auction, bidder, price, channel, url, B.dateTime, B.extra, itemName, description, initialBid, reserve,
/// A.dateTime, expires, seller, category, A.extra FROM bid AS B INNER JOIN auction AS A ON B.auction = A.id WHERE
/// A.category = 10`
#[derive(Debug, Clone)]
pub struct Row {
    bid: Bid,
    auction: Arc<Auction>,
}

impl super::Row for Row {}

#[derive(Clone, Serialize, Deserialize)]
enum Side {
    Wanted(Box<Auction>),
    Unwanted(u64),
    Bid(Bid),
}

/// Auctions and bids by the auction's id.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    events
        .flat_map(|event, out| match event {
            Event::Auction(auction) if auction.category == CATEGORY => out.emit(Side::Wanted(auction)),
            Event::Auction(auction) => out.emit(Side::Unwanted(auction.id)),
            Event::Bid(bid) => out.emit(Side::Bid(bid)),
            Event::Person(_) => {}
        })
        .name("auctions and bids")
        .key_by(|side| match side {
            Side::Wanted(auction) => auction.id,
            Side::Unwanted(auction) => *auction,
            Side::Bid(bid) => bid.auction,
        })
        .process(Join::default())
        .name("bids with auctions")
}

/// What is known of an auction.
#[derive(Clone, Serialize, Deserialize)]
enum Known {
    /// Its bids alone.
    Bids(Vec<Bid>),
    Wanted(Arc<Auction>),
    Unwanted,
}

#[derive(Clone, Default)]
struct Join {
    known: ValueState<Known>,
}

impl KeyedProcessFunction for Join {
    type Key = u64;
    type In = Side;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.known = ctx.value("known")?;
        Ok(())
    }

    fn process(&mut self, side: Side, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        match side {
            Side::Bid(bid) => match self.known.get_or_insert_with(ctx, || Known::Bids(Vec::new()))? {
                Known::Bids(bids) => bids.push(bid),
                Known::Wanted(auction) => {
                    let auction = auction.clone();
                    ctx.emit(Row { bid, auction });
                }
                Known::Unwanted => {}
            },
            Side::Wanted(auction) => {
                let auction: Arc<Auction> = auction.into();
                if let Some(Known::Bids(bids)) = self.known.take(ctx)? {
                    bids.into_iter().for_each(|bid| ctx.emit(Row { bid, auction: auction.clone() }));
                }
                self.known.set(ctx, Known::Wanted(auction))?;
            }
            Side::Unwanted(_) => self.known.set(ctx, Known::Unwanted)?,
        }
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
    #[serde(rename = "bid_dateTime")]
    bid_date_time: Time,
    #[serde(rename = "bid_extra", borrow)]
    bid_extra: Cow<'a, str>,
    #[serde(borrow)]
    item_name: Cow<'a, str>,
    #[serde(borrow)]
    description: Cow<'a, str>,
    initial_bid: u64,
    reserve: u64,
    #[serde(rename = "auction_dateTime")]
    auction_date_time: Time,
    expires: Time,
    seller: u64,
    category: u64,
    #[serde(rename = "auction_extra", borrow)]
    auction_extra: Cow<'a, str>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { bid, auction } = self;
        let columns = Columns {
            auction: bid.auction,
            bidder: bid.bidder,
            price: bid.price,
            channel: bid.channel().into(),
            url: bid.url().into(),
            bid_date_time: bid.date_time,
            bid_extra: bid.extra().into(),
            item_name: auction.item_name().into(),
            description: auction.description().into(),
            initial_bid: auction.initial_bid,
            reserve: auction.reserve,
            auction_date_time: auction.date_time,
            expires: auction.expires,
            seller: auction.seller,
            category: auction.category,
            auction_extra: auction.extra().into(),
        };
        columns.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = Columns::deserialize(deserializer)?;
        let auction = Auction {
            id: columns.auction,
            initial_bid: columns.initial_bid,
            reserve: columns.reserve,
            date_time: columns.auction_date_time,
            expires: columns.expires,
            seller: columns.seller,
            category: columns.category,
            text: Text::new([&columns.item_name, &columns.description], &columns.auction_extra),
        };
        let Columns { auction: of, bidder, price, channel, url, bid_date_time, bid_extra, .. } = columns;
        let bid = Bid::new(of, bidder, price, &channel, &url, bid_date_time, &bid_extra);
        Ok(Self { bid, auction: Arc::new(auction) })
    }
}

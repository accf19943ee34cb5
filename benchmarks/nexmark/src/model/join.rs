//! Auctions with their sellers and bids.

use std::collections::BTreeMap;

use super::{
    Events,
    text::{quoted, time},
};
use crate::event::{Auction, Bid, Person};

pub(super) fn q3(events: &Events<'_>) -> Vec<String> {
    let people: BTreeMap<u64, &Person> = events.people.iter().map(|person| (person.id, *person)).collect();
    let mut rows = Vec::new();
    for auction in &events.auctions {
        let Some(person) = people.get(&auction.seller) else { continue };
        if auction.category == 10 && ["OR", "ID", "CA"].contains(&person.state()) {
            rows.push(format!(
                r#"{{"name":{},"city":{},"state":{},"id":{}}}"#,
                quoted(person.name()),
                quoted(person.city()),
                quoted(person.state()),
                auction.id
            ));
        }
    }
    rows
}

/// The bids for each auction that were made while it was open.
fn bids_in_time<'a>(events: &Events<'a>) -> Vec<(&'a Auction, Vec<&'a Bid>)> {
    let mut bids: BTreeMap<u64, Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        bids.entry(bid.auction).or_default().push(bid);
    }
    let in_time = |auction: &&'a Auction| {
        let bids = bids.get(&auction.id).into_iter().flatten().copied();
        let open = auction.date_time..=auction.expires;
        (*auction, bids.filter(|bid| open.contains(&bid.date_time)).collect())
    };
    events.auctions.iter().map(in_time).collect()
}

/// Each auction that has a winning bid, with it.
fn winners<'a>(events: &Events<'a>) -> Vec<(&'a Auction, &'a Bid)> {
    let mut winners = Vec::new();
    for (auction, mut bids) in bids_in_time(events) {
        bids.sort_by(|a, b| {
            let price = b.price.cmp(&a.price);
            price.then(a.date_time.cmp(&b.date_time)).then(a.bidder.cmp(&b.bidder)).then(a.extra().cmp(b.extra()))
        });
        if let Some(best) = bids.first() {
            winners.push((auction, *best));
        }
    }
    winners
}

pub(super) fn q4(events: &Events<'_>) -> Vec<String> {
    let mut prices: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (auction, bids) in bids_in_time(events) {
        if let Some(price) = bids.iter().map(|bid| bid.price).max() {
            prices.entry(auction.category).or_default().push(price);
        }
    }
    let average = |prices: &[u64]| prices.iter().sum::<u64>() / prices.len() as u64;
    prices.iter().map(|(category, prices)| format!(r#"{{"id":{category},"final":{}}}"#, average(prices))).collect()
}

pub(super) fn q6(events: &Events<'_>) -> Vec<String> {
    let mut closed: Vec<(&Auction, &Bid)> = winners(events);
    closed.sort_by_key(|(auction, _)| (auction.expires, auction.id));
    let mut rows = Vec::new();
    let mut by_seller: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (auction, bid) in closed {
        let prices = by_seller.entry(auction.seller).or_default();
        prices.push(bid.price);
        let last = &prices[prices.len().saturating_sub(10)..];
        let average = last.iter().sum::<u64>() / last.len() as u64;
        rows.push(format!(r#"{{"seller":{},"avg_price":{average}}}"#, auction.seller));
    }
    rows
}

pub(super) fn q9(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for (auction, bid) in winners(events) {
        rows.push(format!(
            concat!(
                r#"{{"id":{},"itemName":{},"description":{},"initialBid":{},"reserve":{},"dateTime":"{}","#,
                r#""expires":"{}","seller":{},"category":{},"extra":{},"auction":{},"bidder":{},"price":{},"#,
                r#""bid_dateTime":"{}","bid_extra":{}}}"#
            ),
            auction.id,
            quoted(auction.item_name()),
            quoted(auction.description()),
            auction.initial_bid,
            auction.reserve,
            time(auction.date_time.0),
            time(auction.expires.0),
            auction.seller,
            auction.category,
            quoted(auction.extra()),
            bid.auction,
            bid.bidder,
            bid.price,
            time(bid.date_time.0),
            quoted(bid.extra())
        ));
    }
    rows
}

pub(super) fn q20(events: &Events<'_>) -> Vec<String> {
    let auctions: BTreeMap<u64, &Auction> = events.auctions.iter().map(|auction| (auction.id, *auction)).collect();
    let mut rows = Vec::new();
    for bid in &events.bids {
        let Some(auction) = auctions.get(&bid.auction).filter(|auction| auction.category == 10) else { continue };
        rows.push(format!(
            concat!(
                r#"{{"auction":{},"bidder":{},"price":{},"channel":{},"url":{},"bid_dateTime":"{}","bid_extra":{},"#,
                r#""itemName":{},"description":{},"initialBid":{},"reserve":{},"auction_dateTime":"{}","expires":"{}","#,
                r#""seller":{},"category":{},"auction_extra":{}}}"#
            ),
            bid.auction,
            bid.bidder,
            bid.price,
            quoted(bid.channel()),
            quoted(bid.url()),
            time(bid.date_time.0),
            quoted(bid.extra()),
            quoted(auction.item_name()),
            quoted(auction.description()),
            auction.initial_bid,
            auction.reserve,
            time(auction.date_time.0),
            time(auction.expires.0),
            auction.seller,
            auction.category,
            quoted(auction.extra())
        ));
    }
    rows
}

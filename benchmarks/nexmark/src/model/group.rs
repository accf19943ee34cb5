//! Statistics and rankings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Events,
    text::{day, minute, quoted, time},
};
use crate::event::Bid;

/// Whether a price lies in a range: the first is of all prices.
const RANGES: [fn(u64) -> bool; 4] =
    [|_| true, |price| price < 10_000, |price| (10_000..1_000_000).contains(&price), |price| price >= 1_000_000];

/// `total_NAME` and `rank1_NAME` to `rank3_NAME`: for each range, what `count` says of its bids.
fn ranges(name: &str, bids: &[&Bid], count: impl Fn(&[&Bid]) -> usize) -> String {
    let mut fields = Vec::new();
    for (range, prefix) in RANGES.iter().zip(["total", "rank1", "rank2", "rank3"]) {
        let bids: Vec<&Bid> = bids.iter().filter(|bid| range(bid.price)).copied().collect();
        fields.push(format!(r#""{prefix}_{name}":{}"#, count(&bids)));
    }
    fields.join(",")
}

fn distinct(bids: &[&Bid], of: impl Fn(&Bid) -> u64) -> usize {
    bids.iter().map(|bid| of(bid)).collect::<BTreeSet<u64>>().len()
}

/// The twelve counts of q15 and q16.
fn counts(bids: &[&Bid]) -> String {
    let counts = [
        ranges("bids", bids, |bids| bids.len()),
        ranges("bidders", bids, |bids| distinct(bids, |bid| bid.bidder)),
        ranges("auctions", bids, |bids| distinct(bids, |bid| bid.auction)),
    ];
    counts.join(",")
}

/// Bids by what `key` says of them.
fn grouped<'a, K: Ord>(events: &Events<'a>, key: impl Fn(&Bid) -> K) -> BTreeMap<K, Vec<&'a Bid>> {
    let mut groups: BTreeMap<K, Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        groups.entry(key(bid)).or_default().push(bid);
    }
    groups
}

pub(super) fn q15(events: &Events<'_>) -> Vec<String> {
    let groups = grouped(events, |bid| day(bid.date_time.0));
    groups.iter().map(|(day, bids)| format!(r#"{{"day":"{day}",{}}}"#, counts(bids))).collect()
}

pub(super) fn q16(events: &Events<'_>) -> Vec<String> {
    let groups = grouped(events, |bid| (bid.channel().to_owned(), day(bid.date_time.0)));
    let mut rows = Vec::new();
    for ((channel, day), bids) in &groups {
        let latest = bids.iter().map(|bid| minute(bid.date_time.0)).max().unwrap_or_default();
        let channel = quoted(channel);
        rows.push(format!(r#"{{"channel":{channel},"day":"{day}","minute":"{latest}",{}}}"#, counts(bids)));
    }
    rows
}

pub(super) fn q17(events: &Events<'_>) -> Vec<String> {
    let groups = grouped(events, |bid| (bid.auction, day(bid.date_time.0)));
    let mut rows = Vec::new();
    for ((auction, day), bids) in &groups {
        let prices: Vec<u64> = bids.iter().map(|bid| bid.price).collect();
        let sum: u64 = prices.iter().sum();
        rows.push(format!(
            r#"{{"auction":{auction},"day":"{day}",{},"min_price":{},"max_price":{},"avg_price":{},"sum_price":{sum}}}"#,
            ranges("bids", bids, |bids| bids.len()),
            prices.iter().min().copied().unwrap_or_default(),
            prices.iter().max().copied().unwrap_or_default(),
            sum / prices.len() as u64
        ));
    }
    rows
}

/// The columns of a bid.
fn columns(bid: &Bid) -> String {
    format!(
        r#""auction":{},"bidder":{},"price":{},"channel":{},"url":{},"dateTime":"{}","extra":{}"#,
        bid.auction,
        bid.bidder,
        bid.price,
        quoted(bid.channel()),
        quoted(bid.url()),
        time(bid.date_time.0),
        quoted(bid.extra())
    )
}

pub(super) fn q18(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bids in grouped(events, |bid| (bid.bidder, bid.auction)).into_values() {
        let order = |bid: &&&Bid| {
            (bid.date_time, bid.price, bid.channel().to_owned(), bid.url().to_owned(), bid.extra().to_owned())
        };
        if let Some(last) = bids.iter().max_by_key(order) {
            rows.push(format!("{{{}}}", columns(last)));
        }
    }
    rows
}

pub(super) fn q19(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for mut bids in grouped(events, |bid| bid.auction).into_values() {
        bids.sort_by_key(|bid| {
            let strings = [bid.extra().to_owned(), bid.channel().to_owned(), bid.url().to_owned()];
            (std::cmp::Reverse(bid.price), bid.date_time, bid.bidder, strings)
        });
        for (number, bid) in bids.iter().take(10).enumerate() {
            rows.push(format!(r#"{{{},"rank_number":{}}}"#, columns(bid), number + 1));
        }
    }
    rows
}

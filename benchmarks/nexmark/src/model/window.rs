//! Windows of event time.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Events,
    text::{quoted, time},
};
use crate::event::Bid;

const WINDOW: i64 = 10_000;
const SLIDE: i64 = 2_000;
const GAP: i64 = 10_000;

/// Where the window of ten seconds begins that `millis` lies in.
fn tumbling(millis: i64) -> i64 {
    millis.div_euclid(WINDOW) * WINDOW
}

pub(super) fn q5(events: &Events<'_>) -> Vec<String> {
    let mut windows: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
    for bid in &events.bids {
        let last = bid.date_time.0.div_euclid(SLIDE) * SLIDE;
        for start in (0..WINDOW / SLIDE).map(|back| last - back * SLIDE) {
            *windows.entry(start).or_default().entry(bid.auction).or_default() += 1;
        }
    }
    let mut rows = Vec::new();
    for counts in windows.values() {
        let most = counts.values().max().copied().unwrap_or_default();
        for (auction, count) in counts.iter().filter(|(_, count)| **count >= most) {
            rows.push(format!(r#"{{"auction":{auction},"num":{count}}}"#));
        }
    }
    rows
}

pub(super) fn q7(events: &Events<'_>) -> Vec<String> {
    let mut windows: BTreeMap<i64, Vec<&Bid>> = BTreeMap::new();
    for bid in &events.bids {
        windows.entry(tumbling(bid.date_time.0)).or_default().push(bid);
    }
    let mut rows = Vec::new();
    for (start, bids) in &windows {
        let highest = bids.iter().map(|bid| bid.price).max().unwrap_or_default();
        // `BETWEEN` takes in both ends: those of the next window's first millisecond too.
        let end = start + WINDOW;
        let at_end = windows.get(&end).into_iter().flatten().filter(|bid| bid.date_time.0 == end);
        for bid in bids.iter().chain(at_end).filter(|bid| bid.price == highest) {
            rows.push(format!(
                r#"{{"auction":{},"bidder":{},"price":{},"dateTime":"{}","extra":{}}}"#,
                bid.auction,
                bid.bidder,
                bid.price,
                time(bid.date_time.0),
                quoted(bid.extra())
            ));
        }
    }
    rows
}

pub(super) fn q8(events: &Events<'_>) -> Vec<String> {
    let sellers: BTreeSet<(u64, i64)> =
        events.auctions.iter().map(|auction| (auction.seller, tumbling(auction.date_time.0))).collect();
    let mut rows = BTreeSet::new();
    for person in &events.people {
        let start = tumbling(person.date_time.0);
        if sellers.contains(&(person.id, start)) {
            let name = quoted(person.name());
            rows.insert(format!(r#"{{"id":{},"name":{name},"starttime":"{}"}}"#, person.id, time(start)));
        }
    }
    rows.into_iter().collect()
}

pub(super) fn q11(events: &Events<'_>) -> Vec<String> {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for bid in &events.bids {
        times.entry(bid.bidder).or_default().push(bid.date_time.0);
    }
    let mut rows = Vec::new();
    for (bidder, times) in &mut times {
        times.sort_unstable();
        for session in times.chunk_by(|earlier, later| later - earlier <= GAP) {
            let (Some(first), Some(last)) = (session.first(), session.last()) else { continue };
            rows.push(format!(
                r#"{{"bidder":{bidder},"bid_count":{},"starttime":"{}","endtime":"{}"}}"#,
                session.len(),
                time(*first),
                time(last + GAP)
            ));
        }
    }
    rows
}

pub(super) fn q12(events: &Events<'_>) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for bid in &events.bids {
        *counts.entry(bid.bidder).or_default() += 1;
    }
    counts.iter().map(|(bidder, count)| format!(r#"{{"bidder":{bidder},"bid_count":{count}}}"#)).collect()
}

//! Hot items: the auctions with the most bids in the last ten seconds, every two seconds.
//!
//! Of several auctions with the most bids all are given.

use std::time::Duration;

use flott::{SlidingEventTimeWindows, Stream, TumblingEventTimeWindows};
use serde::{Deserialize, Serialize};

use super::{
    count::Count,
    greatest::{Greatest, Leaders, Ranked},
};
use crate::event::Event;

const SIZE: Duration = Duration::from_secs(10);
const SLIDE: Duration = Duration::from_secs(2);

/// `SELECT AuctionBids.auction, AuctionBids.num FROM (SELECT auction, count(*) AS num, window_start AS starttime,
/// window_end AS endtime FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP
/// BY auction, window_start, window_end) AS AuctionBids JOIN (SELECT max(CountBids.num) AS maxn, …) AS MaxBids ON
/// AuctionBids.starttime = MaxBids.starttime AND AuctionBids.endtime = MaxBids.endtime AND AuctionBids.num >= MaxBids.maxn`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    auction: u64,
    num: u64,
}

impl super::Row for Row {}

/// The bids of an auction in a window.
#[derive(Clone, Serialize, Deserialize)]
struct Bids {
    /// When the window ends.
    end: i64,
    row: Row,
}

impl Ranked for Bids {
    fn number(&self) -> u64 {
        self.row.num
    }
}

/// The bids of each auction in each window, and then the most of each window. A window's counts have the last millisecond
/// of it for a timestamp, so each is in a window of its own, as long as the slide, together with those of the others.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let mut leaders = Leaders::default();
    super::of_bids(events, |bid| Some(bid.auction))
        .name("auctions of bids")
        .key_by(|auction| *auction)
        .window(SlidingEventTimeWindows::of(SIZE, SLIDE))
        .aggregate_with(Count::default(), |auction, window, num, out| {
            out.emit(Bids { end: window.end, row: Row { auction: *auction, num } });
        })
        .name("bids of auctions")
        .filter(move |bids| leaders.leads(bids.end, bids.row.num))
        .name("most of a subtask")
        .key_by(|bids| bids.end)
        .window(TumblingEventTimeWindows::of(SLIDE))
        .aggregate_with(Greatest::default(), |_, _, most: Vec<Bids>, out| {
            out.emit_all(most.into_iter().map(|bids| bids.row));
        })
        .name("hot items")
}

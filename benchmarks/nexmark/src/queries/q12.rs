//! Windows of processing time: how many bids of each person come in every ten seconds.
//!
//! Which window a bid is in depends on when it comes, so of the rows only the sums over all windows are the same in each
//! run.

use std::{collections::BTreeMap, time::Duration};

use flott::{Stream, TumblingProcessingTimeWindows};
use serde::{Deserialize, Serialize};

use super::count::Count;
use crate::event::{Event, Time};

const SIZE: Duration = Duration::from_secs(10);

/// `SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime FROM TABLE(TUMBLE(TABLE (SELECT
/// *, PROCTIME() AS p_time FROM bid), DESCRIPTOR(p_time), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    bidder: u64,
    bid_count: u64,
    starttime: Time,
    endtime: Time,
}

impl super::Row for Row {
    fn settled(rows: &[Self]) -> serde_json::Result<Vec<String>> {
        #[derive(Serialize)]
        struct Total {
            bidder: u64,
            bid_count: u64,
        }
        let mut totals: BTreeMap<u64, u64> = BTreeMap::new();
        for row in rows {
            *totals.entry(row.bidder).or_default() += row.bid_count;
        }
        totals.into_iter().map(|(bidder, bid_count)| serde_json::to_string(&Total { bidder, bid_count })).collect()
    }
}

/// Windows of each bidder.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| Some(bid.bidder))
        .name("bidders")
        .key_by(|bidder| *bidder)
        .window(TumblingProcessingTimeWindows::of(SIZE))
        .aggregate_with(Count::default(), |bidder, window, bid_count, out| {
            let (starttime, endtime) = (Time(window.start), Time(window.end));
            out.emit(Row { bidder: *bidder, bid_count, starttime, endtime });
        })
        .name("bids of windows")
}

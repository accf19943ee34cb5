//! Bounded side input: bids, each with what a small table holds for its auction.

use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};
use flott::Stream;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Time};

/// Auctions that are so many apart have the same entry.
pub const KEYS: u64 = 10_000;

/// The side input: a value for some of the numbers below [`KEYS`].
#[derive(Debug, Clone)]
pub struct SideInput(Vec<Option<CompactString>>);

impl SideInput {
    /// `entries`, of which those with other keys are never asked for. Of several with one key, the last counts.
    pub fn new<V: AsRef<str>>(entries: impl IntoIterator<Item = (u64, V)>) -> Self {
        let mut values = vec![None; KEYS as usize];
        for (key, value) in entries {
            if let Some(place) = usize::try_from(key).ok().and_then(|key| values.get_mut(key)) {
                *place = Some(CompactString::new(value));
            }
        }
        Self(values)
    }

    /// What the official suite's generator writes: each number as text.
    pub fn numbers() -> Self {
        Self((0..KEYS).map(|key| Some(key.to_compact_string())).collect())
    }

    #[inline]
    fn get(&self, auction: u64) -> Option<&CompactString> {
        self.0.get((auction % KEYS) as usize)?.as_ref()
    }
}

/// `SELECT B.auction, B.bidder, B.price, B.dateTime, S.value FROM bid B JOIN side_input S ON MOD(B.auction, 10000) = S.key`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    value: CompactString,
}

impl super::Row for Row {}

/// A look into the table, which every process has in memory.
pub fn plan(events: &Stream<Event>, side_input: SideInput) -> Stream<Row> {
    let side_input = Arc::new(side_input);
    super::of_bids(events, move |bid| {
        let value = side_input.get(bid.auction)?.clone();
        Some(Row { auction: bid.auction, bidder: bid.bidder, price: bid.price, date_time: bid.date_time, value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auctions_that_are_far_apart_share_an_entry() {
        let numbers = SideInput::numbers();
        assert_eq!(numbers.get(7).map(CompactString::as_str), Some("7"));
        assert_eq!(numbers.get(9 * KEYS + 7), numbers.get(7));
    }

    #[test]
    fn bids_without_an_entry_are_left_out() {
        let few = SideInput::new([(3, "three"), (KEYS, "never asked for"), (3, "drei")]);
        assert_eq!(few.get(KEYS + 3).map(CompactString::as_str), Some("drei"));
        assert_eq!(few.get(0), None);
    }
}

//! Selection: bids for some of the auctions.

use flott::Stream;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// Of so many auctions, one.
const STRIDE: u64 = 123;

/// `SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    auction: u64,
    price: u64,
}

impl super::Row for Row {}

/// A filter and a projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        bid.auction.is_multiple_of(STRIDE).then_some(Row { auction: bid.auction, price: bid.price })
    })
}

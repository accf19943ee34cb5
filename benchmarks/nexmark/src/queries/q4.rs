//! Average price for a category: of the winning bids of its auctions.
//!
//! Auctions count when they close. Each that has a winning bid changes the average of its category, so there is a row for
//! each of them; averages are whole numbers, as SQL has them of whole numbers.

use flott::{Aggregate, Stream};
use serde::{Deserialize, Serialize};

use super::final_price::{FinalPrice, final_prices};
use crate::event::Event;

/// `SELECT Q.category, AVG(Q.final) FROM (SELECT MAX(B.price) AS final, A.category FROM auction A, bid B WHERE A.id =
/// B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY A.id, A.category) Q GROUP BY Q.category`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    id: u64,
    #[serde(rename = "final")]
    average: u64,
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// The final price of each auction, then the average of each category.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    final_prices(events, |auction| auction.category)
        .key_by(|last| last.group)
        .aggregate(Average)
        .name("averages")
        .map(|(id, average)| Row { id, average })
}

#[derive(Clone)]
struct Average;

impl Aggregate for Average {
    type In = FinalPrice;
    /// Auctions, and the sum of their prices.
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (auctions, sum): &mut (u64, u64), last: FinalPrice) {
        *auctions += 1;
        *sum += last.price;
    }

    fn result(&self, (auctions, sum): &(u64, u64)) -> u64 {
        sum / (*auctions).max(1)
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        into.0 += other.0;
        into.1 += other.1;
    }
}

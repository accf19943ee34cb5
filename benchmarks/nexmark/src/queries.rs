//! The queries, one file each: what they ask, the columns of their answer, and the plan.
//!
//! Rows are what the tables of the official suite hold, with its names in JSON. Where the answer is a table that changes,
//! a row replaces the one with the same key that came before it; rows of one key come from one subtask, in order.
//!
//! Ids of people and auctions are taken to be unique, as they are in Nexmark: an auction that has come is the only one,
//! and who waited for it need not wait for another.
//!
//! # Layout
//! - `q0` to `q4`, `q9`, `q10`, `q13` to `q22`: the queries
//! - [`decimal`]: prices in another currency
//! - [`winning`]: the bids that count for an auction
//! - [`tally`], [`recent`]: counts of distinct people and auctions, before they are sent anywhere

pub mod decimal;
pub mod q0;
pub mod q1;
pub mod q10;
pub mod q13;
pub mod q14;
pub mod q15;
pub mod q16;
pub mod q17;
pub mod q18;
pub mod q19;
pub mod q2;
pub mod q20;
pub mod q21;
pub mod q22;
pub mod q3;
pub mod q4;
pub mod q9;
pub mod recent;
pub mod tally;
pub mod winning;

use flott::{Data, Stream};

use crate::event::{Bid, Event};

/// A row of an answer.
pub trait Row: Data {
    /// What tells rows apart, where the answer is a table that changes: of rows with the same, the last one counts.
    /// Nothing, where every row counts.
    fn key(&self) -> Option<String> {
        None
    }
}

/// The rows that `row` makes of bids.
fn of_bids<R, F>(events: &Stream<Event>, mut row: F) -> Stream<R>
where
    R: Data,
    F: FnMut(Bid) -> Option<R> + Clone + Send + Sync + 'static,
{
    events.flat_map(move |event, out| {
        if let Event::Bid(bid) = event
            && let Some(row) = row(bid)
        {
            out.emit(row);
        }
    })
}

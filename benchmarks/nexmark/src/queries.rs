//! The queries, one file each: what they ask, the columns of their answer, and the plan.
//!
//! Rows are what the tables of the official suite hold, with its names in JSON. Where the answer is a table that changes,
//! a row replaces the one with the same key that came before it; rows of one key come from one subtask, in order.
//!
//! Ids of people and auctions are taken to be unique, as they are in Nexmark: an auction that has come is the only one,
//! and who waited for it need not wait for another.
//!
//! # Layout
//! - `q0` to `q22`: the queries
//! - [`decimal`]: prices in another currency
//! - [`winning`], [`final_price`]: auctions that have closed, with the bids that have won them
//! - [`count`], [`greatest`]: what windows are folded to
//! - [`tally`], [`recent`]: counts of distinct people and auctions, before they are sent anywhere

pub mod count;
pub mod decimal;
pub mod final_price;
pub mod greatest;
pub mod q0;
pub mod q1;
pub mod q10;
pub mod q11;
pub mod q12;
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
pub mod q5;
pub mod q6;
pub mod q7;
pub mod q8;
pub mod q9;
pub mod recent;
pub mod tally;
pub mod winning;

use std::collections::BTreeMap;

use flott::{Data, Stream};

use crate::event::{Bid, Event};

/// A row of an answer.
pub trait Row: Data {
    /// What tells rows apart, where the answer is a table that changes: of rows with the same, the last one counts.
    /// Nothing, where every row counts.
    fn key(&self) -> Option<String> {
        None
    }

    /// What `rows`, which are those of an answer, come to: the rows that count, as JSON, in no order.
    ///
    /// # Errors
    /// When a row cannot be written as JSON.
    fn settled(rows: &[Self]) -> serde_json::Result<Vec<String>> {
        let mut last: BTreeMap<String, &Self> = BTreeMap::new();
        let mut settled = Vec::new();
        for row in rows {
            match row.key() {
                Some(key) => _ = last.insert(key, row),
                None => settled.push(serde_json::to_string(row)?),
            }
        }
        for row in last.into_values() {
            settled.push(serde_json::to_string(row)?);
        }
        Ok(settled)
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

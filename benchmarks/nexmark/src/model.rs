//! What the answers should be: each query once more, over a list of all events, by loops and ordered maps.
//!
//! The model knows the records, and nothing of the engine or of the plans. It takes its time: it looks at all events as
//! often as it likes, and finds out who won when everything is known. So no event is late: streams of events have to wait
//! as long as events may be out of order, and then their answers are these.
//!
//! An answer is a sorted list of rows in JSON, with the columns of the official suite's tables. Where a table changes
//! (q4, q15 to q19), it is the table at the end. Where the SQL leaves something open, this is what holds:
//!
//! | query | |
//! |---|---|
//! | q4, q17 | averages are whole numbers, cut and not rounded, as SQL has them of whole numbers |
//! | q5 | windows begin at multiples of 2 s, also before the first event; of several auctions with the most bids all count |
//! | q6 | an auction with a winning bid closes when it expires, and of those that close at once the one with the smaller id first; each gives a row with the average of its price and the up to nine before it of the same seller. The SQL, which no engine runs, averages eleven in the order of their winning bids |
//! | q9 | of bids of one price and time, that of the smallest bidder wins, then that with the smallest `extra` |
//! | q11 | bids of one bidder that are 10 s apart or less are of one session, as Flink merges sessions that touch |
//! | q12 | windows of processing time depend on when a bid came, so of the answer only the sums over all windows can be checked: the bids of each bidder |
//! | q13 | the side input is that of the suite's generator: each number below 10,000 as text |
//! | q18 | of bids of one time, the last is that with the highest price, then with the greatest channel, URL and `extra` |
//! | q19 | bids of one price are numbered by time, bidder, `extra`, channel and URL |
//!
//! # Layout
//! - `select`: queries of single bids
//! - `join`: auctions with their sellers and bids
//! - `group`: statistics and rankings
//! - `window`: windows of event time
//! - `text`: times and strings

mod group;
mod join;
mod select;
#[cfg(test)]
mod tests;
mod text;
mod window;

use crate::{
    event::{Auction, Bid, Event, Person},
    query::Query,
};

/// The answer of `query` to `events`: rows as JSON, sorted.
pub fn answer(query: Query, events: &[Event]) -> Vec<String> {
    let events = Events::new(events);
    let mut rows = match query {
        Query::Q0 => select::q0(&events),
        Query::Q1 => select::q1(&events),
        Query::Q2 => select::q2(&events),
        Query::Q3 => join::q3(&events),
        Query::Q4 => join::q4(&events),
        Query::Q5 => window::q5(&events),
        Query::Q6 => join::q6(&events),
        Query::Q7 => window::q7(&events),
        Query::Q8 => window::q8(&events),
        Query::Q9 => join::q9(&events),
        Query::Q10 => select::q10(&events),
        Query::Q11 => window::q11(&events),
        Query::Q12 => window::q12(&events),
        Query::Q13 => select::q13(&events),
        Query::Q14 => select::q14(&events),
        Query::Q15 => group::q15(&events),
        Query::Q16 => group::q16(&events),
        Query::Q17 => group::q17(&events),
        Query::Q18 => group::q18(&events),
        Query::Q19 => group::q19(&events),
        Query::Q20 => join::q20(&events),
        Query::Q21 => select::q21(&events),
        Query::Q22 => select::q22(&events),
    };
    rows.sort_unstable();
    rows
}

/// Events by their kinds.
struct Events<'a> {
    people: Vec<&'a Person>,
    auctions: Vec<&'a Auction>,
    bids: Vec<&'a Bid>,
}

impl<'a> Events<'a> {
    fn new(events: &'a [Event]) -> Self {
        let mut own = Self { people: Vec::new(), auctions: Vec::new(), bids: Vec::new() };
        for event in events {
            match event {
                Event::Person(person) => own.people.push(person),
                Event::Auction(auction) => own.auctions.push(auction),
                Event::Bid(bid) => own.bids.push(bid),
            }
        }
        own
    }
}

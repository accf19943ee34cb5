//! Highest bid: of every ten seconds, the bids with the highest price.
//!
//! The highest price is that of the bids from a window's start on and before its end. Compared with it are also those at the
//! very end, since `BETWEEN` has both its ends: such a bid is a row if it equals the highest price of the window before it,
//! and another one if it has that of its own.

use flott::{Aggregate, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, Timer, ValueState};
use serde::{Deserialize, Serialize};

use super::greatest::{Greatest, Leaders, Ranked};
use crate::event::{Event, Extra, Time};

const SIZE_MS: i64 = 10_000;

/// `SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra FROM bid B JOIN (SELECT MAX(price) AS maxprice, window_end AS
/// dateTime FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) GROUP BY window_start, window_end) B1
/// ON B.price = B1.maxprice WHERE B.dateTime BETWEEN B1.dateTime - INTERVAL '10' SECOND AND B1.dateTime`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    extra: Extra,
}

impl super::Row for Row {}

impl Ranked for Row {
    fn number(&self) -> u64 {
        self.price
    }
}

/// The number of the window that `time` lies in.
#[inline]
fn window(time: Time) -> i64 {
    time.0.div_euclid(SIZE_MS)
}

/// When a window begins. Those at the ends of time are cut short.
#[inline]
fn start(window: i64) -> Time {
    Time(window.saturating_mul(SIZE_MS))
}

/// A bid for a window: its own, or the one that ends when it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    window: i64,
    row: Row,
}

/// The highest bids that a reader has seen of each window, and then the highest of all. Of those at an end, which are some of
/// ten thousand, only such go to the window before as its highest price may still come to.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let mut leaders = Leaders::default();
    let entries = events.flat_map(move |event, out| {
        let Event::Bid(bid) = event else { return };
        let (auction, bidder, price, date_time) = (bid.auction, bid.bidder, bid.price, bid.date_time);
        let own = window(date_time);
        let leads = leaders.leads(own, price);
        let ends = date_time == start(own) && leaders.may_lead(own - 1, price);
        if leads || ends {
            let row = Row { auction, bidder, price, date_time, extra: bid.into_extra() };
            if ends {
                out.emit(Entry { window: own - 1, row: row.clone() });
            }
            if leads {
                out.emit(Entry { window: own, row });
            }
        }
    });
    let keyed = entries.name("highest of a subtask").key_by(|entry| entry.window);
    keyed.process(Highest::default()).name("highest bids")
}

/// What is known of a window. It is over when the watermark reaches its end, and not a millisecond before as other windows
/// are, since bids of that time belong to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Bids {
    /// The highest of those within it.
    highest: Vec<Row>,
    /// Those at its end: whether they are as high is known when it is over.
    ends: Vec<Row>,
}

impl Bids {
    fn add(&mut self, row: Row, ends: bool) {
        if ends {
            self.ends.push(row);
        } else {
            Greatest::<Row>::default().add(&mut self.highest, row);
        }
    }

    /// The rows of the answer.
    fn into_rows(self) -> impl Iterator<Item = Row> {
        let Self { highest, ends } = self;
        // Without a bid within it there is no window, and nothing that a bid at its end could equal.
        let price = highest.first().map(Ranked::number);
        highest.into_iter().chain(ends.into_iter().filter(move |row| Some(row.price) == price))
    }
}

#[derive(Clone, Default)]
struct Highest {
    windows: ValueState<Bids>,
}

impl KeyedProcessFunction for Highest {
    type Key = i64;
    type In = Entry;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, i64>) -> FunctionResult {
        self.windows = ctx.value("windows")?;
        Ok(())
    }

    fn process(&mut self, Entry { window, row }: Entry, ctx: &mut KeyedContext<'_, i64, Row>) -> FunctionResult {
        let Time(end) = start(window.saturating_add(1));
        // What is late is dropped, as by other windows.
        if ctx.watermark() < end {
            let ends = row.date_time.0 == end;
            self.windows.get_or_insert_with(ctx, Bids::default)?.add(row, ends);
            ctx.register_event_time_timer(end)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, i64, Row>) -> FunctionResult {
        if let Some(bids) = self.windows.take(ctx)? {
            bids.into_rows().for_each(|row| ctx.emit(row));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flott::{
        Failure,
        testing::{Harness, StateSize},
    };

    use super::*;
    use crate::event::Bid;

    fn push(harness: &mut Harness<Event, Row>, auction: u64, price: u64, time: i64) -> Result<(), Failure> {
        harness.push_at(Event::Bid(Bid::new(auction, 5, price, "", "", Time(time), "")), time)
    }

    /// Auctions of rows, once the watermark has come.
    fn rows(harness: &mut Harness<Event, Row>, watermark: i64) -> Result<Vec<u64>, Failure> {
        harness.watermark(watermark)?;
        Ok(harness.take().iter().map(|row| row.auction).collect())
    }

    #[test]
    fn windows_wait_for_bids_at_their_end() -> Result<(), Failure> {
        let mut harness = Harness::new(|events| plan(&events));
        push(&mut harness, 1, 7, 9_000)?;
        push(&mut harness, 2, 8, 12_000)?;
        // A window of the library would be over by now, and the next bid late for it.
        assert!(rows(&mut harness, 9_999)?.is_empty());
        push(&mut harness, 3, 7, 10_000)?;
        push(&mut harness, 4, 6, 10_000)?;
        assert_eq!(rows(&mut harness, 10_000)?, [1, 3]);
        assert_eq!(rows(&mut harness, i64::MAX)?, [2]);
        assert_eq!(harness.state_size(), StateSize::default());
        Ok(())
    }

    #[test]
    fn a_bid_at_the_end_is_none_of_the_window() -> Result<(), Failure> {
        let mut harness = Harness::new(|events| plan(&events));
        // No window to compare it with, one whose highest price is lower, and one in which that comes later.
        push(&mut harness, 1, 5, 0)?;
        push(&mut harness, 2, 6, 10_000)?;
        push(&mut harness, 3, 6, 20_000)?;
        push(&mut harness, 4, 7, 19_000)?;
        assert!(rows(&mut harness, 0)?.is_empty());
        assert_eq!(rows(&mut harness, 10_000)?, [1]);
        assert_eq!(rows(&mut harness, 20_000)?, [4]);
        assert_eq!(rows(&mut harness, 30_000)?, [3]);
        assert_eq!(harness.state_size(), StateSize::default());
        Ok(())
    }

    #[test]
    fn late_bids_begin_no_window_anew() -> Result<(), Failure> {
        let mut harness = Harness::new(|events| plan(&events));
        push(&mut harness, 1, 5, 5_000)?;
        assert_eq!(rows(&mut harness, 10_000)?, [1]);
        push(&mut harness, 2, 6, 9_000)?;
        push(&mut harness, 3, 6, 10_000)?;
        assert_eq!(rows(&mut harness, i64::MAX)?, [3]);
        Ok(())
    }
}

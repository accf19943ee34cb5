//! Bidding statistics: for each day, how many bids there were in three ranges of prices, and of how many people for how
//! many auctions.
//!
//! All bids of a day have one key. So that more than one core can count them, the day is looked at last: each reader
//! counts its bids by itself; who bids and what for is sent to where the person or the auction is known, unless it was
//! sent a while ago; and what is new there is a few counts for the day.

use flott::{
    Context, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, OutputTag, ProcessFunction, Stream,
    ValueState,
};
use serde::{Deserialize, Serialize};

use super::{
    recent::Recent,
    tally::{Pending, Seen, Tally, rank, row_of_counts},
};
use crate::event::{Day, Event, Time};

row_of_counts! {
    /// `SELECT DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS day, count(*) AS total_bids, count(*) FILTER (WHERE price < 10000) AS
    /// rank1_bids, …, count(DISTINCT bidder) AS total_bidders, …, count(DISTINCT auction) AS total_auctions, … FROM bid GROUP
    /// BY day`
    pub struct Row {
        day: Day,
    }
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(self.day.to_string())
    }
}

/// What a bid tells.
#[derive(Clone, Serialize, Deserialize)]
struct Bid {
    auction: u64,
    bidder: u64,
    rank: u8,
    time: Time,
}

/// Who or what was seen.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Party {
    Bidder,
    Auction,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Sight {
    party: Party,
    id: u64,
    day: Day,
    rank: u8,
}

const COUNTS: OutputTag<(Day, Tally)> = OutputTag::new("counts");

/// Counts at the readers, distinct people and auctions by their ids, and the sums of each day.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let bids = super::of_bids(events, |bid| {
        let (auction, bidder, time) = (bid.auction, bid.bidder, bid.date_time);
        Some(Bid { auction, bidder, rank: rank(bid.price) as u8, time })
    });
    let sights = bids.process(Local::default()).name("local counts");
    let counts = sights.side_output(&COUNTS);
    let firsts = sights.key_by(|sight| (sight.party, sight.id)).process(Firsts::default()).name("firsts");
    firsts
        .union([&counts])
        .key_by(|(day, _)| day.0)
        .reduce(|(_, sum), (_, more)| sum.add(&more))
        .name("sums")
        .map(|(day, tally)| Row::new(day, &tally))
}

#[derive(Clone, Default)]
struct Local {
    recent: Recent<Sight>,
    pending: Pending<Day>,
}

impl ProcessFunction for Local {
    type In = Bid;
    type Out = Sight;

    fn process(&mut self, bid: Bid, ctx: &mut Context<'_, Sight>) -> FunctionResult {
        let (day, minute, rank) = (bid.time.day(), bid.time.minute(), bid.rank);
        self.pending.of(|known| *known == day, || day).bid(usize::from(rank), minute);
        if self.pending.is_full() {
            self.pending.take().try_for_each(|counts| ctx.emit_to(&COUNTS, counts))?;
        }
        for (party, id) in [(Party::Bidder, bid.bidder), (Party::Auction, bid.auction)] {
            let sight = Sight { party, id, day, rank };
            let hash = id.wrapping_mul(8).wrapping_add(u64::from(rank) * 2 + party as u64);
            if self.recent.is_new(hash, |known| *known == sight, || sight.clone()) {
                ctx.emit(sight);
            }
        }
        Ok(())
    }

    fn before_snapshot(&mut self, ctx: &mut Context<'_, Sight>) -> FunctionResult {
        self.pending.take().try_for_each(|counts| ctx.emit_to(&COUNTS, counts))
    }

    fn finish(&mut self, ctx: &mut Context<'_, Sight>) -> FunctionResult {
        self.before_snapshot(ctx)
    }
}

#[derive(Clone, Default)]
struct Firsts {
    /// The days on which a person or an auction has been seen.
    days: ValueState<Vec<(Day, Seen)>>,
    pending: Pending<Day>,
}

impl KeyedProcessFunction for Firsts {
    type Key = (Party, u64);
    type In = Sight;
    type Out = (Day, Tally);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, Self::Key>) -> FunctionResult {
        self.days = ctx.value("days")?;
        Ok(())
    }

    fn process(&mut self, sight: Sight, ctx: &mut KeyedContext<'_, Self::Key, Self::Out>) -> FunctionResult {
        let Sight { party, day, rank, .. } = sight;
        let days = self.days.get_or_insert_with(ctx, Vec::new)?;
        let place = days.iter().position(|(known, _)| *known == day).unwrap_or(days.len());
        if place == days.len() {
            days.push((day, Seen::default()));
        }
        let mut new = Tally::default();
        let distinct = match party {
            Party::Bidder => &mut new.bidders,
            Party::Auction => &mut new.auctions,
        };
        if distinct.see(&mut days[place].1, usize::from(rank)) {
            self.pending.of(|known| *known == day, || day).add(&new);
            if self.pending.is_full() {
                self.pending.take().for_each(|counts| ctx.emit(counts));
            }
        }
        Ok(())
    }

    fn before_snapshot(&mut self, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        self.pending.take().for_each(|counts| ctx.emit(counts));
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        self.before_snapshot(ctx)
    }
}

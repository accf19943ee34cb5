//! Channel statistics: for each channel and day, how many bids there were in three ranges of prices, of how many people
//! for how many auctions, and the latest minute.
//!
//! Half of all bids come through four channels. Those that tell a reader nothing new, because it has lately sent the same
//! person and the same auction for that channel, it counts by itself, and sends the counts now and then.

use compact_str::CompactString;
use flott::{
    Context, EntryMap, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ProcessFunction, Stream,
    ValueState,
};
use serde::{Deserialize, Serialize};

use super::{
    recent::{Recent, hint},
    tally::{Pending, Seen, Tally, rank, row_of_counts},
};
use crate::event::{Bid, Day, Event, Minute};

row_of_counts! {
    /// `SELECT channel, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS day, max(DATE_FORMAT(dateTime, 'HH:mm')) AS minute, count(*) AS
    /// total_bids, …, count(DISTINCT bidder) AS total_bidders, …, count(DISTINCT auction) AS total_auctions, … FROM bid GROUP
    /// BY channel, day`
    pub struct Row {
        channel: CompactString,
        day: Day,
        minute: Minute,
    }
}

impl super::Row for Row {
    fn key(&self) -> Option<String> {
        Some(format!("{} {}", self.day, self.channel))
    }
}

/// What is sent to a channel.
#[derive(Clone, Serialize, Deserialize)]
struct Update {
    channel: CompactString,
    day: Day,
    news: News,
}

#[derive(Clone, Serialize, Deserialize)]
enum News {
    /// A bid.
    Bid { bidder: u64, auction: u64, rank: u8, minute: Minute },
    /// Some that told nothing new but how many they are.
    Bids { ranks: [u32; 3], minute: Minute },
}

/// Counts at the readers, and the rest by channel and day.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, Some)
        .process(Local::default())
        .name("local counts")
        .key_by(|update| (update.channel.clone(), update.day.0))
        .process(Channel::default())
        .name("channels")
}

/// A person or an auction that was sent for a channel.
#[derive(Debug, Clone)]
struct Sight {
    channel: CompactString,
    id: u64,
    day: Day,
    rank: u8,
}

#[derive(Clone, Default)]
struct Local {
    bidders: Recent<Sight>,
    auctions: Recent<Sight>,
    pending: Pending<(CompactString, Day)>,
}

fn bids((channel, day): (CompactString, Day), Tally { bids, minute, .. }: Tally) -> Update {
    Update { channel, day, news: News::Bids { ranks: bids.map(|bids| bids as u32), minute } }
}

impl ProcessFunction for Local {
    type In = Bid;
    type Out = Update;

    fn process(&mut self, bid: Bid, ctx: &mut Context<'_, Update>) -> FunctionResult {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        let (channel, day, minute, rank) = (bid.channel(), date_time.day(), date_time.minute(), rank(price) as u8);
        let of_channel = hint(channel);
        let is_new = |recent: &mut Recent<Sight>, id: u64| {
            let is =
                |known: &Sight| known.id == id && known.rank == rank && known.day == day && known.channel == channel;
            let make = || Sight { channel: CompactString::new(channel), id, day, rank };
            recent.is_new(of_channel ^ id.wrapping_mul(4).wrapping_add(u64::from(rank)), is, make)
        };
        // Both, so that both are known the next time.
        if is_new(&mut self.bidders, bidder) | is_new(&mut self.auctions, auction) {
            let news = News::Bid { bidder, auction, rank, minute };
            ctx.emit(Update { channel: CompactString::new(channel), day, news });
            return Ok(());
        }
        let is = |(known, of): &(CompactString, Day)| known == channel && *of == day;
        self.pending.of(is, || (CompactString::new(channel), day)).bid(usize::from(rank), minute);
        if self.pending.is_full() {
            self.pending.take().for_each(|(group, tally)| ctx.emit(bids(group, tally)));
        }
        Ok(())
    }

    fn before_snapshot(&mut self, ctx: &mut Context<'_, Update>) -> FunctionResult {
        self.pending.take().for_each(|(group, tally)| ctx.emit(bids(group, tally)));
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, Update>) -> FunctionResult {
        self.before_snapshot(ctx)
    }
}

/// What is known of a channel on a day.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Known {
    tally: Tally,
    bidders: EntryMap<u64, Seen>,
    auctions: EntryMap<u64, Seen>,
}

#[derive(Clone, Default)]
struct Channel {
    known: ValueState<Known>,
}

impl KeyedProcessFunction for Channel {
    type Key = (CompactString, i64);
    type In = Update;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, Self::Key>) -> FunctionResult {
        self.known = ctx.value("known")?;
        Ok(())
    }

    fn process(&mut self, update: Update, ctx: &mut KeyedContext<'_, Self::Key, Row>) -> FunctionResult {
        let Update { channel, day, news } = update;
        let Known { tally, bidders, auctions } = self.known.get_or_insert_with(ctx, Known::default)?;
        match news {
            News::Bid { bidder, auction, rank, minute } => {
                let rank = usize::from(rank);
                tally.bid(rank, minute);
                tally.bidders.see(bidders.get_or_insert_with(&bidder, Seen::default), rank);
                tally.auctions.see(auctions.get_or_insert_with(&auction, Seen::default), rank);
            }
            News::Bids { ranks, minute } => {
                tally.add(&Tally { bids: ranks.map(u64::from), minute, ..Tally::default() });
            }
        }
        let row = Row::new(channel, day, tally.minute, tally);
        ctx.emit(row);
        Ok(())
    }
}

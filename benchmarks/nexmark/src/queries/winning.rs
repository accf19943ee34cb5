//! Auctions, each with the bid that has won it: the best of those made while it was open, both ends included.
//!
//! An auction and its bids may come in any order. Bids that come before their auction wait for it; after it each is
//! judged as it comes. When the watermark reaches the time at which an auction expires, no further bid can count: then it
//! is given out, if it has a bid, and nothing of it is kept. A bid that waits is dropped when the watermark reaches its own
//! time, as an auction that it could count for would have come by then. So bids for auctions that have long been closed, of
//! which there are many, take up no room.

use std::mem;

use flott::{
    Data, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, Timer, Timestamp, ValueState,
};
use serde::{Deserialize, Serialize};

use crate::event::{Auction, Time};

/// What there is to know of an auction.
pub trait Sale: Data {
    /// Which it is.
    fn id(&self) -> u64;
    /// When it was opened.
    fn opens(&self) -> Time;
    /// The last moment that bids may be of.
    fn expires(&self) -> Time;
}

/// What there is to know of a bid.
pub trait Offer: Data {
    /// Which auction it is for.
    fn auction(&self) -> u64;
    /// When it was made.
    fn time(&self) -> Time;
    /// Whether it goes before `best`.
    fn is_better(&self, best: &Self) -> bool;
}

impl Sale for Box<Auction> {
    fn id(&self) -> u64 {
        self.id
    }

    fn opens(&self) -> Time {
        self.date_time
    }

    fn expires(&self) -> Time {
        self.expires
    }
}

/// One or the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry<S, O> {
    /// An auction.
    Sale(S),
    /// A bid.
    Offer(O),
}

/// An auction that has closed, and the bid that has won it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Won<S, O> {
    /// The auction.
    pub sale: S,
    /// The bid.
    pub offer: O,
}

/// The auctions of `entries` that have a winner, each when it closes: with the time at which it expires.
pub fn won<S: Sale, O: Offer>(entries: &Stream<Entry<S, O>>) -> Stream<Won<S, O>> {
    let keyed = entries.key_by(|entry| match entry {
        Entry::Sale(sale) => sale.id(),
        Entry::Offer(offer) => offer.auction(),
    });
    keyed.process(Closing { auctions: ValueState::default() }).name("winning bids")
}

/// What is kept of one auction.
#[derive(Clone, Serialize, Deserialize)]
struct Open<S, O> {
    sale: Option<S>,
    best: Option<O>,
    /// Bids that came before the auction.
    waiting: Vec<O>,
}

impl<S: Sale, O: Offer> Open<S, O> {
    fn new() -> Self {
        Self { sale: None, best: None, waiting: Vec::new() }
    }

    fn sale(&mut self, sale: S) {
        for offer in mem::take(&mut self.waiting) {
            Self::judge(&sale, &mut self.best, offer);
        }
        self.sale = Some(sale);
    }

    #[inline]
    fn judge(sale: &S, best: &mut Option<O>, offer: O) {
        let time = offer.time();
        let counts = sale.opens() <= time && time <= sale.expires();
        if counts && best.as_ref().is_none_or(|best| offer.is_better(best)) {
            *best = Some(offer);
        }
    }

    /// A bid has come. When to ask whether it still waits, if none did before.
    #[inline]
    fn offer(&mut self, offer: O) -> Option<Time> {
        match &self.sale {
            Some(sale) => {
                Self::judge(sale, &mut self.best, offer);
                None
            }
            None => {
                let first = self.waiting.is_empty().then(|| offer.time());
                self.waiting.push(offer);
                first
            }
        }
    }

    /// A timer has come.
    fn on_timer(&mut self, at: Timestamp, watermark: Timestamp) -> Next {
        match &self.sale {
            Some(sale) if sale.expires().0 <= at => Next::Over,
            // It was for bids that have waited until the auction came.
            Some(_) => Next::None,
            None => {
                self.waiting.retain(|offer| offer.time().0 > watermark);
                let last = self.waiting.iter().map(Offer::time).max();
                last.map_or(Next::Over, Next::Look)
            }
        }
    }
}

/// What a timer leads to.
enum Next {
    None,
    /// There is nothing to wait for any more.
    Over,
    /// It is to be asked again then.
    Look(Time),
}

#[derive(Clone)]
struct Closing<S, O> {
    auctions: ValueState<Open<S, O>>,
}

impl<S: Sale, O: Offer> KeyedProcessFunction for Closing<S, O> {
    type Key = u64;
    type In = Entry<S, O>;
    type Out = Won<S, O>;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.auctions = ctx.value("auctions")?;
        Ok(())
    }

    fn process(&mut self, entry: Entry<S, O>, ctx: &mut KeyedContext<'_, u64, Won<S, O>>) -> FunctionResult {
        let open = self.auctions.get_or_insert_with(ctx, Open::new)?;
        let timer = match entry {
            Entry::Sale(sale) => {
                let expires = sale.expires();
                open.sale(sale);
                Some(expires)
            }
            Entry::Offer(offer) => open.offer(offer),
        };
        if let Some(Time(at)) = timer {
            ctx.register_event_time_timer(at)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, Won<S, O>>) -> FunctionResult {
        let (mut next, watermark) = (Next::None, ctx.watermark());
        self.auctions.update(ctx, |open| next = open.on_timer(timer.at, watermark))?;
        match next {
            Next::None => {}
            Next::Look(Time(at)) => _ = ctx.register_event_time_timer(at)?,
            Next::Over => {
                let open = self.auctions.take(ctx)?;
                if let Some(Open { sale: Some(sale), best: Some(offer), .. }) = open {
                    ctx.emit(Won { sale, offer });
                }
            }
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

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Item {
        id: u64,
        opens: i64,
        expires: i64,
    }

    impl Sale for Item {
        fn id(&self) -> u64 {
            self.id
        }

        fn opens(&self) -> Time {
            Time(self.opens)
        }

        fn expires(&self) -> Time {
            Time(self.expires)
        }
    }

    /// Auction, time and price.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Price(u64, i64, u64);

    impl Offer for Price {
        fn auction(&self) -> u64 {
            self.0
        }

        fn time(&self) -> Time {
            Time(self.1)
        }

        fn is_better(&self, best: &Self) -> bool {
            self.2 > best.2
        }
    }

    struct Hall(Harness<Entry<Item, Price>, Won<Item, Price>>);

    impl Hall {
        fn new() -> Self {
            Self(Harness::new(|entries| won(&entries)))
        }

        fn sale(&mut self, id: u64, opens: i64, expires: i64) -> Result<(), Failure> {
            self.0.push_at(Entry::Sale(Item { id, opens, expires }), opens)
        }

        fn offers(&mut self, auction: u64, offers: &[(i64, u64)]) -> Result<(), Failure> {
            let offer = |(time, price): &(i64, u64)| (Entry::Offer(Price(auction, *time, *price)), *time);
            self.0.push_all_at(offers.iter().map(offer))
        }

        /// Prices at which auctions were sold, and when, once the watermark has come.
        fn sold(&mut self, watermark: i64) -> Result<Vec<(u64, u64, Option<i64>)>, Failure> {
            self.0.watermark(watermark)?;
            let row = |(won, at): (Won<Item, Price>, Option<i64>)| (won.sale.id, won.offer.2, at);
            Ok(self.0.take_timestamped().into_iter().map(row).collect())
        }
    }

    #[test]
    fn auctions_close_when_no_bid_can_count_any_more() -> Result<(), Failure> {
        let mut hall = Hall::new();
        hall.sale(1, 10, 20)?;
        hall.offers(1, &[(9, 900), (10, 5), (20, 7), (21, 800), (15, 6)])?;
        assert_eq!(hall.sold(19)?, []);
        assert_eq!(hall.sold(20)?, [(1, 7, Some(20))]);
        assert_eq!(hall.0.state_size(), StateSize::default());
        Ok(())
    }

    #[test]
    fn bids_wait_for_their_auction() -> Result<(), Failure> {
        let mut hall = Hall::new();
        hall.offers(1, &[(9, 900), (12, 5), (14, 8), (21, 800)])?;
        assert_eq!(hall.sold(9)?, []);
        hall.sale(1, 10, 20)?;
        hall.offers(1, &[(16, 7)])?;
        assert_eq!(hall.sold(25)?, [(1, 8, Some(20))]);
        assert_eq!(hall.0.state_size(), StateSize::default());
        Ok(())
    }

    #[test]
    fn bids_wait_no_longer_than_their_auction_can_come() -> Result<(), Failure> {
        let mut hall = Hall::new();
        hall.offers(1, &[(12, 5), (30, 8)])?;
        assert_eq!(hall.sold(29)?, []);
        assert_eq!(hall.0.state_size().timers, 1);
        assert_eq!(hall.sold(30)?, []);
        assert_eq!(hall.0.state_size(), StateSize::default());
        Ok(())
    }

    #[test]
    fn an_auction_without_bids_has_no_winner() -> Result<(), Failure> {
        let mut hall = Hall::new();
        hall.sale(1, 10, 20)?;
        hall.offers(1, &[(21, 5)])?;
        assert_eq!(hall.sold(i64::MAX)?, []);
        assert_eq!(hall.0.state_size(), StateSize::default());
        Ok(())
    }
}

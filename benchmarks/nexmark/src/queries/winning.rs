//! The bids that count for an auction: those made while it was open, both ends included.
//!
//! An auction and its bids may come in any order. Bids that come before their auction wait for it; after it each is
//! judged as it comes. Nothing is known of when an auction will have no more bids, so what is kept of it stays.

use serde::{Deserialize, Serialize};

use crate::event::Time;

/// What is known of one auction: an `A` that is open for some time, and of its bids the best `B`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Winning<A, B> {
    auction: Option<Open<A>>,
    best: Option<B>,
    waiting: Vec<(Time, B)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open<A> {
    from: Time,
    to: Time,
    auction: A,
}

impl<A> Open<A> {
    fn takes(&self, time: Time) -> bool {
        self.from <= time && time <= self.to
    }
}

impl<A, B> Default for Winning<A, B> {
    fn default() -> Self {
        Self { auction: None, best: None, waiting: Vec::new() }
    }
}

impl<A, B> Winning<A, B> {
    /// The auction has come. If it has a winner already, gives both.
    pub fn auction(&mut self, auction: A, from: Time, to: Time, better: impl Fn(&B, &B) -> bool) -> Option<(&A, &B)> {
        let open = Open { from, to, auction };
        for (time, bid) in std::mem::take(&mut self.waiting) {
            if open.takes(time) && self.best.as_ref().is_none_or(|best| better(&bid, best)) {
                self.best = Some(bid);
            }
        }
        let auction = &self.auction.insert(open).auction;
        self.best.as_ref().map(|best| (auction, best))
    }

    /// A bid has come. If it is now the best, gives the auction, and the bid that was it.
    pub fn bid(&mut self, bid: B, time: Time, better: impl Fn(&B, &B) -> bool) -> Option<(&A, Option<B>)> {
        let Some(open) = &self.auction else {
            self.waiting.push((time, bid));
            return None;
        };
        if !open.takes(time) || self.best.as_ref().is_some_and(|best| !better(&bid, best)) {
            return None;
        }
        Some((&open.auction, self.best.replace(bid)))
    }

    /// The best bid so far.
    pub fn best(&self) -> Option<&B> {
        self.best.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn better(bid: &u64, best: &u64) -> bool {
        bid > best
    }

    #[test]
    fn bids_wait_for_their_auction() {
        let mut winning: Winning<&str, u64> = Winning::default();
        for (time, price) in [(9, 900), (10, 5), (20, 7), (21, 800)] {
            assert_eq!(winning.bid(price, Time(time), better), None);
        }
        assert_eq!(winning.auction("a", Time(10), Time(20), better), Some((&"a", &7)));
        assert_eq!(winning.bid(6, Time(15), better), None);
        assert_eq!(winning.bid(8, Time(15), better), Some((&"a", Some(7))));
        assert_eq!(winning.bid(99, Time(21), better), None);
        assert_eq!(winning.best(), Some(&8));
    }

    #[test]
    fn an_auction_without_bids_has_no_winner() {
        let mut winning: Winning<(), u64> = Winning::default();
        assert_eq!(winning.auction((), Time(10), Time(20), better), None);
        assert_eq!(winning.bid(1, Time(10), better), Some((&(), None)));
    }
}

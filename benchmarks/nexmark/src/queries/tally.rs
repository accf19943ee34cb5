//! Counts of bids, of distinct bidders and of distinct auctions, in three ranges of prices.

use serde::{Deserialize, Serialize};

use crate::event::Minute;

/// The range that `price` lies in: below 100 dollars, below 10,000, and above.
#[inline]
pub fn rank(price: u64) -> usize {
    usize::from(price >= 10_000) + usize::from(price >= 1_000_000)
}

/// Distinct things, and those in each range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    /// All.
    pub total: u64,
    /// Those that were seen in a range.
    pub ranks: [u64; 3],
}

impl Distinct {
    /// Counts a thing that is seen in range `rank`; `seen` says in which ones it has been before. `false` if that changes
    /// nothing.
    #[inline]
    pub fn see(&mut self, seen: &mut Seen, rank: usize) -> bool {
        let bit = 1 << rank;
        if seen.0 & bit != 0 {
            return false;
        }
        self.total += u64::from(seen.0 == 0);
        self.ranks[rank] += 1;
        seen.0 |= bit;
        true
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.ranks.iter_mut().zip(other.ranks).for_each(|(sum, more)| *sum += more);
    }
}

/// The ranges in which a thing has been seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen(u8);

/// All counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Bids in each range.
    pub bids: [u64; 3],
    /// Bidders.
    pub bidders: Distinct,
    /// Auctions.
    pub auctions: Distinct,
    /// The latest minute of the day.
    pub minute: Minute,
}

impl Tally {
    /// Counts a bid.
    #[inline]
    pub fn bid(&mut self, rank: usize, minute: Minute) {
        self.bids[rank] += 1;
        self.minute = self.minute.max(minute);
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.bids.iter_mut().zip(other.bids).for_each(|(sum, more)| *sum += more);
        self.bidders.add(other.bidders);
        self.auctions.add(other.auctions);
        self.minute = self.minute.max(other.minute);
    }
}

/// A row with the counts of a [`Tally`] as columns, behind columns of its own. They are written out: what serde flattens
/// cannot go between processes.
macro_rules! row_of_counts {
    ($(#[$attribute:meta])* pub struct Row { $($column:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub struct Row {
            $($column: $type,)*
            total_bids: u64,
            rank1_bids: u64,
            rank2_bids: u64,
            rank3_bids: u64,
            total_bidders: u64,
            rank1_bidders: u64,
            rank2_bidders: u64,
            rank3_bidders: u64,
            total_auctions: u64,
            rank1_auctions: u64,
            rank2_auctions: u64,
            rank3_auctions: u64,
        }

        impl Row {
            fn new($($column: $type,)* tally: &Tally) -> Self {
                let Tally { bids, bidders, auctions, .. } = *tally;
                let [rank1_bids, rank2_bids, rank3_bids] = bids;
                let [rank1_bidders, rank2_bidders, rank3_bidders] = bidders.ranks;
                let [rank1_auctions, rank2_auctions, rank3_auctions] = auctions.ranks;
                Self {
                    $($column,)*
                    total_bids: rank1_bids + rank2_bids + rank3_bids,
                    rank1_bids,
                    rank2_bids,
                    rank3_bids,
                    total_bidders: bidders.total,
                    rank1_bidders,
                    rank2_bidders,
                    rank3_bidders,
                    total_auctions: auctions.total,
                    rank1_auctions,
                    rank2_auctions,
                    rank3_auctions,
                }
            }
        }
    };
}
pub(super) use row_of_counts;

/// Counts of some groups that have yet to be sent on. So a group that everything belongs to is not sent a record for
/// each bid. What is held back goes on when the input ends, or with the next that come.
#[derive(Debug, Clone)]
pub struct Pending<G> {
    tallies: Vec<(G, Tally)>,
    held: u32,
}

/// Counts that are held back.
const HELD_MAX: u32 = 512;

impl<G> Default for Pending<G> {
    fn default() -> Self {
        Self { tallies: Vec::new(), held: 0 }
    }
}

impl<G> Pending<G> {
    /// The counts of the group that `is` knows, made by `make` where there are none.
    #[inline]
    pub fn of(&mut self, is: impl Fn(&G) -> bool, make: impl FnOnce() -> G) -> &mut Tally {
        self.held += 1;
        let known = self.tallies.iter().position(|(group, _)| is(group));
        let place = known.unwrap_or_else(|| {
            self.tallies.push((make(), Tally::default()));
            self.tallies.len() - 1
        });
        &mut self.tallies[place].1
    }

    /// Whether it is time to send on what there is.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.held >= HELD_MAX
    }

    /// All there is.
    pub fn take(&mut self) -> impl Iterator<Item = (G, Tally)> {
        self.held = 0;
        self.tallies.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_ranks() {
        assert_eq!([0, 9_999, 10_000, 999_999, 1_000_000, u64::MAX].map(rank), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn things_count_once_in_each_range() {
        let (mut distinct, mut seen) = (Distinct::default(), Seen::default());
        assert_eq!([1, 1, 0, 1].map(|rank| distinct.see(&mut seen, rank)), [true, false, true, false]);
        assert_eq!(distinct, Distinct { total: 1, ranks: [1, 1, 0] });
        distinct.see(&mut Seen::default(), 1);
        assert_eq!(distinct, Distinct { total: 2, ranks: [1, 2, 0] });
    }

    #[test]
    fn counts_are_held_back_by_group() {
        let mut pending = Pending::default();
        for number in 0..HELD_MAX {
            assert!(!pending.is_full());
            let group = number % 3;
            pending.of(|known| *known == group, || group).bid(1, Minute(number as u16));
        }
        assert!(pending.is_full());
        let all: Vec<(u32, Tally)> = pending.take().collect();
        assert_eq!(all.iter().map(|(_, tally)| tally.bids[1]).sum::<u64>(), u64::from(HELD_MAX));
        assert_eq!(all.len(), 3);
        assert!(!pending.is_full() && pending.take().next().is_none());
    }
}

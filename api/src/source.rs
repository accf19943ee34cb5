//! Where records come from.
//!
//! # Layout
//! - `collection`, `sequence`: from the program itself
//! - `generator`: made by a function, at a rate if wanted
//! - `text`: lines of files
//! - `lines`: bytes into lines
//! - `socket`: lines from a TCP connection
//! - `rate_limiter`: a rate limit, for other sources too

mod collection;
mod generator;
mod lines;
mod rate_limiter;
mod sequence;
mod socket;
mod text;

pub(crate) use collection::CollectionSource;
pub use generator::GeneratorSource;
pub use rate_limiter::RateLimiter;
pub(crate) use sequence::SequenceSource;
pub(crate) use socket::SocketSource;
pub(crate) use text::TextSource;

/// Cuts `0..count` into at most `pieces` runs of nearly equal length, in order; no run is empty.
pub(crate) fn cut(count: u64, pieces: u64) -> Vec<(u64, u64)> {
    let pieces = pieces.clamp(1, count.max(1));
    let at = |piece: u64| (u128::from(count) * u128::from(piece) / u128::from(pieces)) as u64;
    (0..pieces).map(|piece| (at(piece), at(piece + 1))).filter(|(from, to)| from < to).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::cut;

    proptest! {
        #[test]
        fn cuts_cover_everything_in_order(count in 0u64..10_000, pieces in 0u64..100) {
            let cuts = cut(count, pieces);
            let mut next = 0;
            for (from, to) in &cuts {
                prop_assert_eq!(*from, next);
                prop_assert!(to > from);
                next = *to;
            }
            prop_assert_eq!(next, count);
            prop_assert!(cuts.len() as u64 <= pieces.max(1));
        }
    }

    #[test]
    fn the_largest_count_is_cut() {
        assert_eq!(cut(u64::MAX, 2), [(0, u64::MAX / 2), (u64::MAX / 2, u64::MAX)]);
    }
}

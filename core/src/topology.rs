//! Which subtask sends to which. Producer and consumer both work out their channels from here, so they agree.

use std::ops::Range;

use crate::job_graph::ShipStrategy;

/// Consumers that `producer` of `producers` sends to, out of `consumers`.
///
/// Pointwise strategies connect contiguous runs, so that each consumer has at least one producer and each producer at
/// least one consumer; the others connect everyone with everyone.
pub fn consumers_of(ship: ShipStrategy, producer: u32, producers: u32, consumers: u32) -> Range<u32> {
    if !ship.is_pointwise() {
        return 0..consumers;
    }
    run(producer, producers, consumers)
}

/// Producers that `consumer` of `consumers` reads from, out of `producers`.
pub fn producers_of(ship: ShipStrategy, consumer: u32, producers: u32, consumers: u32) -> Range<u32> {
    if !ship.is_pointwise() {
        return 0..producers;
    }
    run(consumer, consumers, producers)
}

/// The run of `others` peers that `index` of `own` is connected to.
fn run(index: u32, own: u32, others: u32) -> Range<u32> {
    let (index, own, others) = (u64::from(index), u64::from(own), u64::from(others));
    let (start, end) = if own >= others {
        // Several of us share one peer: the peer whose run, computed from its side, holds us.
        let peer = ((index + 1) * others - 1) / own;
        (peer, peer + 1)
    } else {
        (index * others / own, (index + 1) * others / own)
    };
    start as u32..end as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ends_agree_and_nobody_is_left_out(producers in 1u32..200, consumers in 1u32..200) {
            let ship = ShipStrategy::Rescale;
            for producer in 0..producers {
                let targets = consumers_of(ship, producer, producers, consumers);
                prop_assert!(!targets.is_empty() && targets.end <= consumers);
                for consumer in 0..consumers {
                    let sources = producers_of(ship, consumer, producers, consumers);
                    prop_assert!(!sources.is_empty() && sources.end <= producers);
                    prop_assert_eq!(targets.contains(&consumer), sources.contains(&producer));
                }
            }
        }
    }

    #[test]
    fn forward_is_one_to_one() {
        assert_eq!(consumers_of(ShipStrategy::Forward, 3, 7, 7), 3..4);
        assert_eq!(producers_of(ShipStrategy::Forward, 3, 7, 7), 3..4);
    }
}

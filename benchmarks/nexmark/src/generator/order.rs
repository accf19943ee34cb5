//! Which event comes when.
//!
//! As in the published suites, events come in groups, and change places within their group: so the events themselves,
//! and with them the answers of most queries, are the same however far they are out of order. There the place is a fixed
//! multiple modulo the size of the group. Here the multiple is one that has no divisor in common with the size, so that
//! it works for all sizes, and each group begins at a random place.

use super::random;

/// Largest group, so that products of two places fit into 64 bits.
const GROUP_MAX: u64 = u32::MAX as u64;

/// A permutation of event numbers.
#[derive(Debug, Clone)]
pub(super) struct Order {
    count: u64,
    /// Events of a group; at least 1.
    group: u64,
    step: u64,
    /// Where the last group begins, which may be smaller; and its step.
    last: u64,
    last_step: u64,
    key: u64,
}

impl Order {
    /// `count` events, in groups of `group`.
    pub fn new(count: u64, group: u64, key: u64) -> Self {
        let group = group.clamp(1, GROUP_MAX);
        let last = count / group * group;
        Self { count, group, step: step(group), last, last_step: step((count - last).max(1)), key }
    }

    /// Whether events come in the order of their numbers.
    #[inline]
    pub fn is_identity(&self) -> bool {
        self.group == 1
    }

    /// The group that `position` lies in, from there on. The position is below the number of events.
    pub fn group_at(&self, position: u64) -> Group {
        let (base, size, step) = if position < self.last {
            (position - position % self.group, self.group, self.step)
        } else {
            (self.last, (self.count - self.last).max(1), self.last_step)
        };
        let begin = random::mix(self.key ^ base) % size;
        let offset = ((position - base) * step + begin) % size;
        Group { base, size, step, offset }
    }
}

/// A group, and a place in it.
#[derive(Debug, Clone)]
pub(super) struct Group {
    base: u64,
    size: u64,
    step: u64,
    offset: u64,
}

impl Group {
    /// The position behind its last.
    pub fn end(&self) -> u64 {
        self.base + self.size
    }

    /// The number of the event that comes next; not to be asked for more than the group has.
    #[inline]
    pub fn step(&mut self) -> u64 {
        let number = self.base + self.offset;
        self.offset += self.step;
        if self.offset >= self.size {
            self.offset -= self.size;
        }
        number
    }
}

/// A number without a divisor in common with `size`, near its golden section, where multiples are spread well.
fn step(size: u64) -> u64 {
    let golden = (size as f64 * 0.618_033_988_75) as u64;
    (golden.max(1)..size).find(|step| greatest_common_divisor(*step, size) == 1).unwrap_or(1)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_change_places_within_their_group(count in 1u64..3000, group in 0u64..1200, key: u64) {
            let order = Order::new(count, group, key);
            let numbers: Vec<u64> = (0..count).map(|position| order.group_at(position).step()).collect();
            for (position, number) in numbers.iter().enumerate() {
                prop_assert_eq!(number / group.max(1), position as u64 / group.max(1));
            }
            let mut walked = Vec::new();
            while walked.len() < numbers.len() {
                let mut group = order.group_at(walked.len() as u64);
                walked.extend((walked.len() as u64..group.end()).map(|_| group.step()));
            }
            prop_assert_eq!(&walked, &numbers);
            let mut sorted = numbers;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_largest_groups_do_not_overflow() {
        let order = Order::new(u64::MAX, u64::MAX, 7);
        assert!(order.group_at(GROUP_MAX - 1).step() < GROUP_MAX);
        assert!(order.group_at(u64::MAX - 1).step() < u64::MAX);
    }
}

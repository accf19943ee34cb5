//! A memory of the last few things.

use std::collections::{BTreeSet, VecDeque};

/// The last `max` distinct items that were put in.
#[derive(Debug, Clone)]
pub struct Recent<T> {
    items: BTreeSet<T>,
    order: VecDeque<T>,
    max: usize,
}

impl<T: Ord + Clone> Recent<T> {
    /// Remembers nothing yet.
    pub fn new(max: usize) -> Self {
        Self { items: BTreeSet::new(), order: VecDeque::new(), max }
    }

    /// Remembers `item`; `false` if it was known.
    pub fn insert(&mut self, item: T) -> bool {
        if !self.items.insert(item.clone()) {
            return false;
        }
        self.order.push_back(item);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.items.remove(&oldest);
        }
        true
    }

    /// Whether `item` is remembered.
    pub fn contains(&self, item: &T) -> bool {
        self.items.contains(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        assert!(recent.insert(1) && recent.insert(2) && !recent.insert(1) && recent.insert(3));
        assert_eq!([1, 2, 3].map(|item| recent.contains(&item)), [false, true, true]);
    }
}

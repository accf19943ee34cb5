//! The greatest of each window, of all keys.
//!
//! One subtask must not get everything. So subtasks pass on only what is as great as anything that they have seen of its
//! window: of numbers in no order as many as a logarithm, and those that are equal. The window itself can then be a key,
//! and its subtask finds the greatest of all.

use std::{cmp::Ordering, marker::PhantomData};

use flott::{Aggregate, Data};

/// Windows that a subtask knows the greatest of. One that it has forgotten costs no more than records that are sent on.
const WINDOWS: usize = 8;

/// The greatest number of each of the latest windows.
#[derive(Debug, Clone, Default)]
pub struct Leaders {
    /// Window and number, in no order.
    windows: Vec<(i64, u64)>,
    /// The window that was asked for last: mostly the next as well.
    recent: usize,
}

impl Leaders {
    /// Whether `number` is as great as any that was seen of `window`, of which later ones are greater.
    #[inline]
    pub fn leads(&mut self, window: i64, number: u64) -> bool {
        if let Some((known, most)) = self.windows.get_mut(self.recent)
            && *known == window
        {
            let leads = number >= *most;
            *most = number.max(*most);
            return leads;
        }
        self.look_up(window, number)
    }

    /// Whether `number` may be the greatest of `window`, for all that is known: it does not count as seen.
    #[inline(never)]
    pub fn may_lead(&self, window: i64, number: u64) -> bool {
        self.windows.iter().all(|(known, most)| *known != window || number >= *most)
    }

    #[inline(never)]
    fn look_up(&mut self, window: i64, number: u64) -> bool {
        if let Some(place) = self.windows.iter().position(|(known, _)| *known == window) {
            self.recent = place;
            return self.leads(window, number);
        }
        if self.windows.len() < WINDOWS {
            self.recent = self.windows.len();
            self.windows.push((window, number));
        } else if let Some((place, earliest)) = self.windows.iter_mut().enumerate().min_by_key(|(_, known)| known.0)
            && earliest.0 < window
        {
            *earliest = (window, number);
            self.recent = place;
        }
        true
    }
}

/// What is compared.
pub trait Ranked: Data {
    /// By which number.
    fn number(&self) -> u64;
}

/// All that have the greatest number.
#[derive(Debug)]
pub struct Greatest<T>(PhantomData<fn() -> T>);

impl<T> Clone for Greatest<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> Default for Greatest<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Ranked> Aggregate for Greatest<T> {
    type In = T;
    type Accumulator = Vec<T>;
    type Out = Vec<T>;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, all: &mut Vec<T>, new: T) {
        let order = all.first().map_or(Ordering::Greater, |best| new.number().cmp(&best.number()));
        match order {
            Ordering::Less => return,
            Ordering::Equal => {}
            Ordering::Greater => all.clear(),
        }
        all.push(new);
    }

    fn result(&self, all: &Vec<T>) -> Vec<T> {
        all.clone()
    }

    fn merge(&self, into: &mut Vec<T>, other: Vec<T>) {
        other.into_iter().for_each(|one| self.add(into, one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtasks_pass_on_what_leads() {
        let mut leaders = Leaders::default();
        let led = [(1, 5), (1, 4), (2, 1), (1, 5), (1, 6), (2, 1), (2, 0)].map(|(window, n)| leaders.leads(window, n));
        assert_eq!(led, [true, false, true, true, true, true, false]);
    }

    #[test]
    fn what_may_lead_is_not_seen() {
        let mut leaders = Leaders::default();
        leaders.leads(1, 5);
        let may = [(1, 4), (1, 5), (1, 6), (2, 0)].map(|(window, number)| leaders.may_lead(window, number));
        assert_eq!(may, [false, true, true, true]);
        assert!(leaders.leads(1, 5));
    }

    #[test]
    fn early_windows_are_forgotten() {
        let mut leaders = Leaders::default();
        let windows = WINDOWS as i64;
        assert!((0..=windows).all(|window| leaders.leads(window, 5)));
        assert!(leaders.leads(0, 4));
        assert!((1..=windows).all(|window| !leaders.leads(window, 4)));
    }

    impl Ranked for (u64, char) {
        fn number(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn all_of_the_greatest_number_are_kept() {
        let greatest = Greatest::default();
        let (mut all, mut others) = (greatest.create(), greatest.create());
        [(1, 'a'), (3, 'b'), (2, 'c'), (3, 'd')].into_iter().for_each(|one| greatest.add(&mut all, one));
        [(3, 'e'), (1, 'f')].into_iter().for_each(|one| greatest.add(&mut others, one));
        greatest.merge(&mut all, others);
        assert_eq!(all, [(3, 'b'), (3, 'd'), (3, 'e')]);
    }
}

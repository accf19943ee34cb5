//! The unsafe lines of batches: moving records out of a vector, one by one or to the ends of several others.
//!
//! `Vec::drain` gives each record as an `Option`, and where a type says by one of its bytes that it is none, such as
//! `CompactString`, the compiler copies the record in pieces around that byte; reading it back whole then waits for all
//! of these stores. That took 60 % of the time of a running count. And `push` on the vector that a record's target says
//! takes 35 to 45 instructions: each vector is looked at for having room, and iterators are written back to memory in case
//! that it panics. Here it is 15.

#![expect(unsafe_code, reason = "see the module's documentation")]

use std::{ptr, slice};

/// Records on their way out of a vector, which is empty meanwhile. Those that are still there at the end are dropped.
pub struct Leaving<'a, T> {
    /// Empty as far as anyone knows, with records from `at` up to `end` in its room.
    from: &'a mut Vec<T>,
    at: usize,
    end: usize,
}

impl<'a, T> Leaving<'a, T> {
    /// All records of `from`.
    pub fn all(from: &'a mut Vec<T>) -> Self {
        let end = from.len();
        // SAFETY: 0 is within the capacity, and no record is below it. Whoever forgets this value leaks the records.
        unsafe { from.set_len(0) };
        Self { from, at: 0, end }
    }

    /// Those that are still there.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: these records are in the room of `from`, and are borrowed with it.
        unsafe { slice::from_raw_parts(self.from.as_ptr().add(self.at), self.end - self.at) }
    }

    /// Takes the first.
    ///
    /// # Panics
    /// When there is none.
    #[inline(always)]
    pub fn take(&mut self) -> T {
        assert!(self.at < self.end, "a record is there");
        self.at += 1;
        // SAFETY: below `end` there is a record; it is read this once, as `at` is past it.
        unsafe { self.from.as_ptr().add(self.at - 1).read() }
    }

    /// Moves a record for each of `targets`, in order, to the end of that vector of `into` that the target says, and its
    /// companion to the end of the vector beside; but stops behind a record with which a vector has `limit` or more.
    /// Says how many were moved.
    ///
    /// # Panics
    /// When there are more targets than records or companions, or a target is no vector.
    #[inline(never)]
    pub(crate) fn scatter<'b, C>(
        &mut self,
        targets: &[u32],
        companions: &[C],
        into: impl Iterator<Item = (&'b mut Vec<T>, &'b mut Vec<C>)>,
        limit: usize,
    ) -> usize
    where
        T: 'b,
        C: Copy + 'b,
    {
        let mut lanes: Vec<_> = into.map(|(records, companions)| Lane::open(records, companions, limit)).collect();
        let highest = targets.iter().fold(0, |highest, target| highest.max(*target));
        assert!((highest as usize) < lanes.len(), "each target is a vector");
        assert!(targets.len() <= (self.end - self.at).min(companions.len()), "each target has a record");
        let from = self.from.as_ptr();
        let mut at = self.at;
        for (target, companion) in targets.iter().zip(companions) {
            // SAFETY: the target is a lane, as was seen above. `at` is below `end`, as there are no more targets than
            // records; so there is one, and it is read this once: nothing in this loop panics, and `self.at` is past it
            // before anything else is done. `len` is below `limit` and so below both capacities: all lanes begin that
            // way, and the loop ends with the first that is no longer so.
            unsafe {
                let lane = lanes.get_unchecked_mut(*target as usize);
                let len = lane.len;
                lane.len = len + 1;
                let full = len + 1 == lane.limit;
                lane.companions_base.add(len).write(*companion);
                ptr::copy_nonoverlapping(from.add(at), lane.base.add(len), 1);
                at += 1;
                if full {
                    break;
                }
            }
        }
        let moved = at - self.at;
        self.at = at;
        lanes.into_iter().for_each(Lane::close);
        moved
    }
}

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        // SAFETY: these records are in the room of `from`, which does not know them, and belong to nobody else.
        unsafe {
            let first = self.from.as_mut_ptr().add(self.at);
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(first, self.end - self.at));
        }
    }
}

/// The end of a vector that records are moved to, and of that of their companions.
struct Lane<'a, T, C> {
    /// Where the vectors' contents are.
    base: *mut T,
    companions_base: *mut C,
    /// How many there are in each; the vectors themselves hear of it when the lane is closed.
    len: usize,
    /// Below or at the vectors' capacities, and above `len` while records are moved.
    limit: usize,
    records: &'a mut Vec<T>,
    companions: &'a mut Vec<C>,
}

impl<'a, T, C> Lane<'a, T, C> {
    fn open(records: &'a mut Vec<T>, companions: &'a mut Vec<C>, limit: usize) -> Self {
        let len = records.len();
        assert!(size_of::<C>() == 0 || companions.len() == len, "each record has a companion");
        let limit = limit.max(len + 1);
        records.reserve(limit - len);
        companions.reserve(limit - len);
        Self { base: records.as_mut_ptr(), companions_base: companions.as_mut_ptr(), len, limit, records, companions }
    }

    fn close(self) {
        // SAFETY: at most the limit, for which there is room in both, and all up to here have been moved in.
        unsafe {
            self.records.set_len(self.len);
            self.companions.set_len(self.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Debug, sync::Arc};

    use proptest::prelude::*;

    use super::*;

    type Lanes<T> = [(Vec<T>, Vec<usize>); 3];

    /// As [`Leaving::scatter`], in safe code.
    fn push_each<T>(from: &mut Vec<T>, targets: &[u32], beside: &[usize], into: &mut Lanes<T>, limit: usize) -> usize {
        let mut moved = 0;
        for (target, companion) in targets.iter().zip(beside) {
            let (records, companions) = &mut into[*target as usize];
            records.push(from.remove(0));
            companions.push(*companion);
            moved += 1;
            if records.len() >= limit {
                break;
            }
        }
        moved
    }

    fn each<T>(into: &mut Lanes<T>) -> impl Iterator<Item = (&mut Vec<T>, &mut Vec<usize>)> {
        into.iter_mut().map(|(records, companions)| (records, companions))
    }

    #[track_caller]
    fn check<T: Clone + PartialEq + Debug>(records: &[T], targets: &[u32], lengths: [usize; 3], limit: usize) {
        let into = lengths.map(|length| (vec![records[0].clone(); length], vec![0; length]));
        let (mut from, mut safe_from) = (records.to_vec(), records.to_vec());
        let (mut got, mut safe_got) = (into.clone(), into);
        let companions: Vec<usize> = (0..targets.len()).collect();
        let mut leaving = Leaving::all(&mut from);
        let mut at = 0;
        while at < targets.len() {
            let moved = leaving.scatter(&targets[at..], &companions[at..], each(&mut got), limit);
            assert_eq!(moved, push_each(&mut safe_from, &targets[at..], &companions[at..], &mut safe_got, limit));
            assert_eq!(got, safe_got);
            assert_eq!(leaving.as_slice(), safe_from);
            at += moved;
        }
        for record in safe_from {
            assert_eq!(leaving.take(), record);
        }
        drop(leaving);
        assert_eq!(from, []);
    }

    proptest! {
        #[test]
        fn records_go_where_pushing_them_one_by_one_would_put_them(
            targets in prop::collection::vec(0u32..3, 1..50),
            lengths in prop::array::uniform3(0usize..12),
            more in 0usize..3,
            limit in 1usize..12,
        ) {
            let count = targets.len() + more;
            check(&(0..count).collect::<Vec<_>>(), &targets, lengths, limit);
            check(&(0..count).map(|at| at.to_string()).collect::<Vec<_>>(), &targets, lengths, limit);
            check(&vec![(); count], &targets, lengths, limit);
        }
    }

    #[test]
    fn each_record_is_dropped_once() {
        let record = Arc::new(());
        let mut into: [_; 2] = [Vec::new(), Vec::new()];
        let mut from = vec![record.clone(); 10];
        let mut leaving = Leaving::all(&mut from);
        let mut none = [Vec::new(), Vec::new()];
        leaving.scatter(&[0, 1, 1, 0], &[(); 4], into.iter_mut().zip(&mut none), 5);
        drop(leaving.take());
        drop(leaving);
        assert_eq!((from.len(), Arc::strong_count(&record)), (0, 5), "those that were left are gone");
        drop(into);
        assert_eq!(Arc::strong_count(&record), 1);
    }

    #[test]
    #[should_panic(expected = "each target is a vector")]
    fn targets_that_do_not_exist_are_refused() {
        Leaving::all(&mut vec![1, 2]).scatter(&[0, 1], &[(); 2], [(&mut Vec::new(), &mut Vec::new())].into_iter(), 5);
    }

    #[test]
    #[should_panic(expected = "each target has a record")]
    fn more_targets_than_records_are_refused() {
        Leaving::all(&mut vec![1]).scatter(&[0, 0], &[(); 2], [(&mut Vec::new(), &mut Vec::new())].into_iter(), 5);
    }

    #[test]
    #[should_panic(expected = "a record is there")]
    fn there_is_nothing_to_take_from_nothing() {
        Leaving::all(&mut Vec::<u64>::new()).take();
    }
}

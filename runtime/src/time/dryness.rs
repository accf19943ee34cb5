//! For how long a stream has had no records.
//!
//! Processing time alone does not say. A task that is held up, by user code, by receivers, by a store that takes no state, or by
//! another task of its thread, asks nobody meanwhile; when it asks again, the network may not have had its turn. A stream
//! that is called idle then, with records on their way, loses them as late. So it is looked at twice: what the second look
//! does not find had not come by the first.

use crate::batch::Timestamp;

/// How much of the idleness is between the two looks.
const BETWEEN_LOOKS: i64 = 8;

/// For how long a stream is known to have none. Begins with the first look behind its last records.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dryness {
    /// When it is to be looked at again.
    due: Option<Timestamp>,
    /// That is the second look.
    again: bool,
}

impl Dryness {
    /// It has records, or nobody can tell.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether it has been looked at since it had records.
    pub fn has_begun(&self) -> bool {
        self.due.is_some()
    }

    /// It has nothing at `now`. When to look again; `None` if it has had nothing for `idleness_ms`, and is idle. To look more
    /// often does no harm.
    pub fn look(&mut self, now: Timestamp, idleness_ms: i64) -> Option<Timestamp> {
        let between = (idleness_ms / BETWEEN_LOOKS).max(1);
        let due = match self.due {
            None => now.saturating_add((idleness_ms - between).max(0)),
            Some(due) if now < due => due,
            Some(_) if self.again => {
                self.end();
                return None;
            }
            Some(_) => {
                self.again = true;
                now.saturating_add(between)
            }
        };
        self.due = Some(due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks, each with when the next is due.
    #[track_caller]
    fn check(idleness_ms: i64, looks: &[(Timestamp, Option<Timestamp>)]) {
        let mut dryness = Dryness::default();
        for (now, due) in looks {
            assert_eq!(dryness.look(*now, idleness_ms), *due, "at {now}");
        }
    }

    #[test]
    fn who_is_looked_at_in_time_is_idle_to_the_millisecond() {
        check(
            800,
            &[(1_000, Some(1_700)), (1_300, Some(1_700)), (1_700, Some(1_800)), (1_799, Some(1_800)), (1_800, None)],
        );
        check(1, &[(5, Some(5)), (5, Some(6)), (6, None)]);
        check(0, &[(5, Some(5)), (5, Some(6)), (6, None)]);
    }

    #[test]
    fn a_look_that_comes_late_is_not_the_last() {
        check(800, &[(0, Some(700)), (60_000, Some(60_100)), (60_050, Some(60_100)), (90_000, None)]);
    }

    #[test]
    fn the_count_begins_anew_behind_records() {
        let mut dryness = Dryness::default();
        dryness.look(0, 800);
        dryness.look(750, 800);
        dryness.end();
        assert!(!dryness.has_begun());
        assert_eq!(dryness.look(60_000, 800), Some(60_700));
    }

    #[test]
    fn times_have_ends() {
        check(i64::MAX, &[(1, Some(i64::MAX - i64::MAX / 8 + 1)), (2, Some(i64::MAX - i64::MAX / 8 + 1))]);
        check(800, &[(i64::MAX - 1, Some(i64::MAX)), (i64::MAX, Some(i64::MAX)), (i64::MAX, None)]);
    }
}

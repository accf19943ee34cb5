//! What is stored per key of a state with a time-to-live: values, lists and maps with the moments of their last use.

mod list;
mod map;
mod value;

pub(super) use list::ExpiringList;
pub(super) use map::ExpiringMap;
pub(super) use value::Expiring;

use super::ttl::Moment;

/// Something that expires, as a whole or part by part.
pub(super) trait Perish {
    /// Whether something in it has expired.
    fn is_due(&self, moment: Moment) -> bool;

    /// As [`is_due`](Self::is_due), for the search: may put off what would cost much for little.
    fn is_overdue(&self, moment: Moment) -> bool;

    /// Drops what has expired, and says whether anything is left. Changes nothing that is not due.
    fn prune(&mut self, moment: Moment) -> bool;
}

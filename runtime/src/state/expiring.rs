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
    /// Drops what has expired, and says whether anything is left.
    fn prune(&mut self, moment: Moment) -> bool;

    /// As [`prune`](Self::prune), for the search: may put off what would cost much for little.
    fn search(&mut self, moment: Moment) -> bool;
}

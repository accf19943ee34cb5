//! A value that expires.

use serde::{Deserialize, Serialize};

use super::Perish;
use crate::{batch::Timestamp, state::ttl::Moment};

/// A value and when it was last used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::state) struct Expiring<V> {
    value: V,
    used: Timestamp,
}

impl<V> Expiring<V> {
    /// A value that is written now.
    pub fn new(value: V, moment: Moment) -> Self {
        Self { value, used: moment.now }
    }

    /// Another value in its place, last used when it was.
    pub fn map<W>(self, make: impl FnOnce(V) -> W) -> Expiring<W> {
        Expiring { value: make(self.value), used: self.used }
    }

    /// When it was last used.
    pub fn used(&self) -> Timestamp {
        self.used
    }

    /// Reads it.
    #[inline]
    pub fn read(&mut self, moment: Moment) -> &V {
        self.used = moment.after_read(self.used);
        &self.value
    }

    /// The value, without a use of it.
    #[inline]
    pub fn peek(&self) -> &V {
        &self.value
    }

    /// Writes it in place.
    #[inline]
    pub fn write(&mut self, moment: Moment) -> &mut V {
        self.used = moment.now;
        &mut self.value
    }

    /// Writes it in place; `create` makes another where it is not given out any more.
    #[inline]
    pub fn write_or(&mut self, moment: Moment, create: impl FnOnce() -> V) -> &mut V {
        if moment.hides(self.used) {
            self.value = create();
        }
        self.write(moment)
    }

    /// The value, if it is still given out.
    pub fn into_value(self, moment: Moment) -> Option<V> {
        (!moment.hides(self.used)).then_some(self.value)
    }
}

impl<V> Perish for Expiring<V> {
    fn is_due(&self, moment: Moment) -> bool {
        moment.expired(self.used)
    }

    fn is_overdue(&self, moment: Moment) -> bool {
        moment.expired(self.used)
    }

    fn prune(&mut self, moment: Moment) -> bool {
        !moment.expired(self.used)
    }
}

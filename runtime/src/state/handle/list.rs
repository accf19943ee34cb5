//! A list per key.

use super::handle;
use crate::{
    batch::Data,
    error::TaskResult,
    state::{
        expiring::ExpiringList,
        keyed::{KeyScope, Place},
    },
};

handle! {
    /// A list per key. With a time-to-live each element expires by itself.
    ListState<V>
}

impl<V: Data> ListState<V> {
    #[inline]
    fn place<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Place<'s, S::Key, Vec<V>, ExpiringList<V>>> {
        scope.states().place(self.index)
    }

    /// The list of the key at hand, oldest first.
    ///
    /// # Errors
    /// As [`ValueState::get`](super::ValueState::get); so it is with all methods.
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<&'s [V]> {
        match self.place(scope)? {
            Place::Plain(spot) => Ok(spot.get()?.map_or(&[], Vec::as_slice)),
            Place::Expiring(spot, moment) if moment.reads_count() => {
                Ok(spot.visible_mut(moment)?.map_or(&[], |list| list.read(moment)))
            }
            Place::Expiring(spot, moment) => Ok(spot.visible(moment)?.map_or(&[], ExpiringList::peek)),
        }
    }

    /// Adds to the end of the list of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn add<S: KeyScope>(&self, scope: &mut S, value: V) -> TaskResult {
        match self.place(scope)? {
            Place::Plain(spot) => spot.entry(Vec::new)?.push(value),
            Place::Expiring(spot, moment) => spot.entry(ExpiringList::default)?.push(value, moment),
        }
        Ok(())
    }

    /// Adds to the end of the list of the key at hand, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all<S: KeyScope>(&self, scope: &mut S, values: impl IntoIterator<Item = V>) -> TaskResult {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        match self.place(scope)? {
            Place::Plain(spot) => spot.entry(Vec::new)?.extend(values),
            Place::Expiring(spot, moment) => {
                let list = spot.entry(ExpiringList::default)?;
                values.for_each(|value| list.push(value, moment));
            }
        }
        Ok(())
    }

    /// Replaces the list of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn set<S: KeyScope>(&self, scope: &mut S, values: Vec<V>) -> TaskResult {
        match self.place(scope)? {
            place if values.is_empty() => place.clear(),
            Place::Plain(mut spot) => spot.insert(values),
            Place::Expiring(mut spot, moment) => spot.insert(ExpiringList::new(values, moment)),
        }
    }

    /// Takes the list of the key at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Vec<V>> {
        match self.place(scope)? {
            Place::Plain(mut spot) => Ok(spot.remove()?.unwrap_or_default()),
            Place::Expiring(mut spot, moment) => {
                Ok(spot.remove()?.map_or_else(Vec::new, |list| list.into_values(moment)))
            }
        }
    }

    /// Forgets the list of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.place(scope)?.clear()
    }
}

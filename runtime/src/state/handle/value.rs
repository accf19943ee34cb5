//! One value per key.

use super::handle;
use crate::{
    batch::Data,
    error::TaskResult,
    state::{
        expiring::Expiring,
        keyed::{KeyScope, Place},
    },
};

handle! {
    /// One value per key.
    ValueState<V>
}

impl<V: Data> ValueState<V> {
    #[inline]
    pub(super) fn place<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Place<'s, S::Key, V, Expiring<V>>> {
        scope.states().place(self.index)
    }

    /// The value of the key at hand.
    ///
    /// # Errors
    /// When the handle is not bound, or the backend fails; so it is with all methods of handles.
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Option<&'s V>> {
        match self.place(scope)? {
            Place::Plain(spot) => spot.get(),
            Place::Expiring(spot, moment) if moment.reads_count() => {
                Ok(spot.visible_mut(moment)?.map(|held| held.read(moment)))
            }
            Place::Expiring(spot, moment) => Ok(spot.visible(moment)?.map(Expiring::peek)),
        }
    }

    /// The value of the key at hand, to be changed in place; `create` makes it where there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_or_insert_with<'s, S: KeyScope>(
        &self,
        scope: &'s mut S,
        mut create: impl FnMut() -> V,
    ) -> TaskResult<&'s mut V> {
        match self.place(scope)? {
            Place::Plain(spot) => spot.entry(create),
            Place::Expiring(spot, moment) => {
                let held = spot.entry(|| Expiring::new(create(), moment))?;
                Ok(held.write_or(moment, create))
            }
        }
    }

    /// Sets the value of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn set<S: KeyScope>(&self, scope: &mut S, value: V) -> TaskResult {
        match self.place(scope)? {
            Place::Plain(mut spot) => spot.insert(value),
            Place::Expiring(mut spot, moment) => spot.insert(Expiring::new(value, moment)),
        }
    }

    /// Changes the value of the key at hand in place, and says whether there was one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn update<S: KeyScope>(&self, scope: &mut S, change: impl FnOnce(&mut V)) -> TaskResult<bool> {
        let value = match self.place(scope)? {
            Place::Plain(spot) => spot.into_mut()?,
            Place::Expiring(spot, moment) => spot.visible_mut(moment)?.map(|held| held.write(moment)),
        };
        Ok(value.map(change).is_some())
    }

    /// Takes the value of the key at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Option<V>> {
        match self.place(scope)? {
            Place::Plain(mut spot) => spot.remove(),
            Place::Expiring(mut spot, moment) => Ok(spot.remove()?.and_then(|held| held.into_value(moment))),
        }
    }

    /// Forgets the value of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.place(scope)?.clear()
    }
}

//! A map per window.

use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
    state::EntryMap,
};

use super::WindowMapState;
use crate::window::{Window, WindowContext};

impl<W: Window, MK: Key, MV: Data> WindowMapState<W, MK, MV> {
    /// The map of the window at hand, if it has any entries.
    fn map<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
    ) -> TaskResult<Option<&'s EntryMap<MK, MV>>> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.get(keyed, window)
    }

    /// The map of the window at hand, which will have an entry.
    fn map_mut<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
    ) -> TaskResult<&'s mut EntryMap<MK, MV>> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.get_or_insert_with(keyed, window, EntryMap::default)
    }

    /// Has `change` take entries out of the map of the window at hand, if it has any.
    fn shrink<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        change: impl FnOnce(&mut EntryMap<MK, MV>),
    ) -> TaskResult {
        let (window, keyed) = ctx.at_hand()?;
        let mut is_empty = false;
        self.by_window.update(keyed, window, |map| {
            change(map);
            is_empty = map.is_empty();
        })?;
        if is_empty {
            self.by_window.remove(keyed, window)?;
        }
        Ok(())
    }

    /// What `entry` maps to in the window at hand.
    ///
    /// # Errors
    /// When the handle is not bound, no window is at hand, or the backend fails; so it is with all methods.
    pub fn get<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
        entry: &MK,
    ) -> TaskResult<Option<&'s MV>> {
        Ok(self.map(ctx)?.and_then(|map| map.get(entry)))
    }

    /// Whether `entry` maps to something in the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, entry: &MK) -> TaskResult<bool> {
        Ok(self.get(ctx, entry)?.is_some())
    }

    /// What `entry` maps to in the window at hand, to be changed in place; `create` makes it where there is nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_insert_with<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
        entry: &MK,
        create: impl FnOnce() -> MV,
    ) -> TaskResult<&'s mut MV> {
        Ok(self.map_mut(ctx)?.get_or_insert_with(entry, create))
    }

    /// Maps `entry` to `value` in the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, entry: &MK, value: MV) -> TaskResult {
        self.map_mut(ctx)?.insert(entry, value);
        Ok(())
    }

    /// Maps all `entries` to their values in the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn insert_all<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        entries: impl IntoIterator<Item = (MK, MV)>,
    ) -> TaskResult {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_some() {
            let map = self.map_mut(ctx)?;
            entries.for_each(|(entry, value)| map.insert(&entry, value));
        }
        Ok(())
    }

    /// Changes what `entry` maps to in the window at hand in place, and says whether there was something.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        entry: &MK,
        change: impl FnOnce(&mut MV),
    ) -> TaskResult<bool> {
        let (window, keyed) = ctx.at_hand()?;
        let mut found = false;
        self.by_window.update(keyed, window, |map| found = map.get_mut(entry).map(change).is_some())?;
        Ok(found)
    }

    /// Takes out what `entry` maps to in the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, entry: &MK) -> TaskResult<Option<MV>> {
        let mut removed = None;
        self.shrink(ctx, |map| removed = map.remove(entry))?;
        Ok(removed)
    }

    /// Drops the entries of the window at hand that `keep` refuses.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn retain<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        keep: impl FnMut(&MK, &MV) -> bool,
    ) -> TaskResult {
        self.shrink(ctx, |map| map.retain(keep))
    }

    /// Entries of the window at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
    ) -> TaskResult<impl Iterator<Item = (&'s MK, &'s MV)> + use<'s, K, W, MK, MV, Out>> {
        Ok(self.map(ctx)?.into_iter().flat_map(EntryMap::iter))
    }

    /// What is mapped to something in the window at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn keys<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
    ) -> TaskResult<impl Iterator<Item = &'s MK> + use<'s, K, W, MK, MV, Out>> {
        Ok(self.entries(ctx)?.map(|(entry, _)| entry))
    }

    /// What something maps to in the window at hand, in no order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn values<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
    ) -> TaskResult<impl Iterator<Item = &'s MV> + use<'s, K, W, MK, MV, Out>> {
        Ok(self.entries(ctx)?.map(|(_, value)| value))
    }

    /// Entries of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn len<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult<usize> {
        Ok(self.map(ctx)?.map_or(0, EntryMap::len))
    }

    /// Whether there are no entries of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult<bool> {
        Ok(self.len(ctx)? == 0)
    }

    /// Forgets the map of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.remove(keyed, window).map(drop)
    }
}

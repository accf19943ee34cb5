//! One value per window.

use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
};

use super::WindowValueState;
use crate::window::{Window, WindowContext};

impl<W: Window, V: Data> WindowValueState<W, V> {
    /// The value of the window at hand.
    ///
    /// # Errors
    /// When the handle is not bound, no window is at hand, or the backend fails; so it is with all methods.
    pub fn get<'s, K: Key, Out>(&self, ctx: &'s mut WindowContext<'_, K, W, Out>) -> TaskResult<Option<&'s V>> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.get(keyed, window)
    }

    /// The value of the window at hand, to be changed in place; `create` makes it where there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_insert_with<'s, K: Key, Out>(
        &self,
        ctx: &'s mut WindowContext<'_, K, W, Out>,
        create: impl FnOnce() -> V,
    ) -> TaskResult<&'s mut V> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.get_or_insert_with(keyed, window, create)
    }

    /// Sets the value of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn set<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, value: V) -> TaskResult {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.insert(keyed, window, value)
    }

    /// Changes the value of the window at hand in place, and says whether there was one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        change: impl FnOnce(&mut V),
    ) -> TaskResult<bool> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.update(keyed, window, change)
    }

    /// Takes the value of the window at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult<Option<V>> {
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.remove(keyed, window)
    }

    /// Forgets the value of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult {
        self.take(ctx).map(drop)
    }
}

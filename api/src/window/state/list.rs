//! A list per window.

use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
};

use super::WindowListState;
use crate::window::{Window, WindowContext};

impl<W: Window, V: Data> WindowListState<W, V> {
    /// The list of the window at hand, oldest first.
    ///
    /// # Errors
    /// When the handle is not bound, no window is at hand, or the backend fails; so it is with all methods.
    pub fn get<'s, K: Key, Out>(&self, ctx: &'s mut WindowContext<'_, K, W, Out>) -> TaskResult<&'s [V]> {
        let (window, keyed) = ctx.at_hand()?;
        Ok(self.by_window.get(keyed, window)?.map_or(&[], Vec::as_slice))
    }

    /// Adds to the end of the list of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, value: V) -> TaskResult {
        self.add_all(ctx, [value])
    }

    /// Adds to the end of the list of the window at hand, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all<K: Key, Out>(
        &self,
        ctx: &mut WindowContext<'_, K, W, Out>,
        values: impl IntoIterator<Item = V>,
    ) -> TaskResult {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            let (window, keyed) = ctx.at_hand()?;
            self.by_window.get_or_insert_with(keyed, window, Vec::new)?.extend(values);
        }
        Ok(())
    }

    /// Replaces the list of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn set<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, values: Vec<V>) -> TaskResult {
        if values.is_empty() {
            return self.clear(ctx);
        }
        let (window, keyed) = ctx.at_hand()?;
        self.by_window.insert(keyed, window, values)
    }

    /// Takes the list of the window at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult<Vec<V>> {
        let (window, keyed) = ctx.at_hand()?;
        Ok(self.by_window.remove(keyed, window)?.unwrap_or_default())
    }

    /// Forgets the list of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult {
        self.take(ctx).map(drop)
    }
}

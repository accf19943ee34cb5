//! What the function of a window sees besides its records.

use std::ops::{Deref, DerefMut};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
    state::{EntryMap, KeyHash, KeyScope, KeyedStates, MapState, OperatorLists, OperatorScope},
};

use super::{Window, WindowListState, WindowMapState, WindowValueState};
use crate::function::{Collector, Context, FunctionResult, KeyedContext, KeyedOpen};

/// A [`Context`] with a key and a window. State handles take it as their scope: those of [`WindowValueState`],
/// [`WindowListState`] and [`WindowMapState`] have something for each window of a key, others for each key, which all its
/// windows see.
pub struct WindowContext<'a, K, W, Out> {
    keyed: KeyedContext<'a, K, Out>,
    window: Option<W>,
}

impl<'a, K: Key, W: Window, Out> WindowContext<'a, K, W, Out> {
    pub(crate) fn new(keyed: KeyedContext<'a, K, Out>) -> Self {
        Self { keyed, window: None }
    }

    /// Sets what state handles refer to.
    pub(crate) fn set_window(&mut self, hash: KeyHash, key: K, window: W) {
        self.keyed.set_key(hash, key);
        self.window = Some(window);
    }

    pub(crate) fn collector(&mut self) -> &mut Collector<'a, Out> {
        self.keyed.collector()
    }

    /// The window at hand, and where the states of the key at hand are.
    ///
    /// # Errors
    /// When there is none at hand.
    pub(super) fn at_hand(&mut self) -> TaskResult<(&W, &mut KeyedContext<'a, K, Out>)> {
        let Self { keyed, window } = self;
        let window = window.as_ref().ok_or_else(no_window)?;
        Ok((window, keyed))
    }
}

#[cold]
fn no_window() -> Box<Failure> {
    Box::new(Failure::user("state of a window can only be used while a window is processed"))
}

impl<K: Key, W, Out> KeyScope for WindowContext<'_, K, W, Out> {
    type Key = K;

    #[inline]
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.keyed.states()
    }
}

impl<K, W, Out> OperatorScope for WindowContext<'_, K, W, Out> {
    fn lists(&self) -> &OperatorLists {
        self.keyed.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.keyed.lists_mut()
    }
}

impl<'a, K, W, Out> Deref for WindowContext<'a, K, W, Out> {
    type Target = Context<'a, Out>;

    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K, W, Out> DerefMut for WindowContext<'_, K, W, Out> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

/// Where the function of a window gets its state handles from, when it is opened.
pub struct WindowOpen<'a, K, W> {
    keyed: KeyedOpen<'a, K>,
    scopes: &'a mut WindowScopes<K, W>,
}

impl<'a, K: Key, W: Window> WindowOpen<'a, K, W> {
    pub(crate) fn new(keyed: KeyedOpen<'a, K>, scopes: &'a mut WindowScopes<K, W>) -> Self {
        Self { keyed, scopes }
    }

    /// The state `name`, with one value per window of a key. It is dropped with the window.
    ///
    /// # Errors
    /// When the function uses the name for other state of windows, or windows merge: it would not be clear what becomes of
    /// the values. So it is with all states of windows.
    pub fn window_value<V: Data>(&mut self, name: &str) -> FunctionResult<WindowValueState<W, V>> {
        Ok(WindowValueState::new(self.of_windows(name)?))
    }

    /// The state `name`, with a list per window of a key. It is dropped with the window.
    ///
    /// # Errors
    /// As [`window_value`](Self::window_value).
    pub fn window_list<V: Data>(&mut self, name: &str) -> FunctionResult<WindowListState<W, V>> {
        Ok(WindowListState::new(self.of_windows(name)?))
    }

    /// The state `name`, with a map per window of a key. It is dropped with the window.
    ///
    /// # Errors
    /// As [`window_value`](Self::window_value).
    pub fn window_map<MK: Key, MV: Data>(&mut self, name: &str) -> FunctionResult<WindowMapState<W, MK, MV>> {
        Ok(WindowMapState::new(self.of_windows::<EntryMap<MK, MV>>(name)?))
    }

    /// What a key has in the state `name`, by window.
    fn of_windows<V: Data>(&mut self, name: &str) -> FunctionResult<MapState<W, V>> {
        if self.scopes.merging {
            return Err(Box::new(Failure::user(format!(
                "state {name:?} cannot be kept per window, as windows merge here: keep it per key"
            ))));
        }
        // A name that states per key cannot have by chance.
        let values = self.keyed.map::<W, V>(&format!("window/{name}"))?;
        self.scopes.forget.push(Box::new({
            let values = values.clone();
            move |states: &mut KeyedStates<K>, window: &W| values.remove(states, window).map(drop)
        }));
        Ok(values)
    }
}

impl<K, W> OperatorScope for WindowOpen<'_, K, W> {
    fn lists(&self) -> &OperatorLists {
        self.keyed.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.keyed.lists_mut()
    }
}

impl<'a, K, W> Deref for WindowOpen<'a, K, W> {
    type Target = KeyedOpen<'a, K>;

    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K, W> DerefMut for WindowOpen<'_, K, W> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

type Forget<K, W> = Box<dyn Fn(&mut KeyedStates<K>, &W) -> TaskResult + Send>;

/// The states that are kept per window.
pub(crate) struct WindowScopes<K, W> {
    /// Windows merge, so there can be none.
    pub merging: bool,
    forget: Vec<Forget<K, W>>,
}

impl<K, W> WindowScopes<K, W> {
    pub fn new(merging: bool) -> Self {
        Self { merging, forget: Vec::new() }
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.forget.is_empty()
    }

    /// Drops what is kept for `window` of the key at hand.
    pub fn forget(&self, states: &mut KeyedStates<K>, window: &W) -> TaskResult {
        self.forget.iter().try_for_each(|forget| forget(states, window))
    }
}

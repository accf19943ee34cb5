//! What the function of a window sees besides its records.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key},
    error::TaskResult,
    state::{KeyHash, KeyScope, KeyedStates, MapState, OperatorLists, OperatorScope},
};

use super::Window;
use crate::function::{Collector, Context, FunctionResult, KeyedContext, KeyedOpen};

/// A [`Context`] with a key and a window. State handles take it as their scope: those of [`WindowState`] have a value for
/// each window of a key, others one for each key, which all its windows see.
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
    /// When the function uses the name with another type, or windows merge: it would not be clear what becomes of the
    /// values.
    pub fn window_value<V: Data>(&mut self, name: &str) -> FunctionResult<WindowState<W, V>> {
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
        Ok(WindowState { values })
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

/// One value per window of a key.
///
/// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
pub struct WindowState<W, V> {
    values: MapState<W, V>,
}

impl<W, V> Default for WindowState<W, V> {
    fn default() -> Self {
        Self { values: MapState::default() }
    }
}

impl<W, V> Clone for WindowState<W, V> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone() }
    }
}

impl<W, V> fmt::Debug for WindowState<W, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowState({:?})", self.values)
    }
}

impl<W: Window, V: Data> WindowState<W, V> {
    /// The value of the window at hand.
    ///
    /// # Errors
    /// When the handle is not bound, or the backend fails; so it is with all methods.
    pub fn get<'s, K: Key, Out>(&self, ctx: &'s mut WindowContext<'_, K, W, Out>) -> TaskResult<Option<&'s V>> {
        let WindowContext { keyed, window } = ctx;
        self.values.get(keyed, at_hand(window)?)
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
        let WindowContext { keyed, window } = ctx;
        self.values.get_or_insert_with(keyed, at_hand(window)?, create)
    }

    /// Sets the value of the window at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn set<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>, value: V) -> TaskResult {
        let WindowContext { keyed, window } = ctx;
        self.values.insert(keyed, at_hand(window)?, value)
    }

    /// Takes the value of the window at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<K: Key, Out>(&self, ctx: &mut WindowContext<'_, K, W, Out>) -> TaskResult<Option<V>> {
        let WindowContext { keyed, window } = ctx;
        self.values.remove(keyed, at_hand(window)?)
    }
}

fn at_hand<W>(window: &Option<W>) -> TaskResult<&W> {
    match window {
        Some(window) => Ok(window),
        None => Err(Box::new(Failure::user("state of a window can only be used while a window is processed"))),
    }
}

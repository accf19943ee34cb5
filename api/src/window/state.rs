//! What the function of a window keeps for each window of a key.
//!
//! Handles have the methods of those of keyed state. Behind each is a map of the key from windows to what they have, so it
//! lies in whatever backend keyed state lies in, is part of snapshots, and goes where the key goes.
//!
//! # Layout
//! - `value`, `list`, `map`: what the handles do

mod list;
mod map;
mod value;

use flott_runtime::state::{EntryMap, MapState};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$window:ident, $($param:ident),+> of $values:ty) => {
        $(#[$doc])*
        ///
        /// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
        pub struct $name<$window, $($param),+> {
            by_window: MapState<$window, $values>,
        }

        impl<$window, $($param),+> $name<$window, $($param),+> {
            pub(super) fn new(by_window: MapState<$window, $values>) -> Self {
                Self { by_window }
            }
        }

        impl<$window, $($param),+> Default for $name<$window, $($param),+> {
            fn default() -> Self {
                Self { by_window: MapState::default() }
            }
        }

        impl<$window, $($param),+> Clone for $name<$window, $($param),+> {
            fn clone(&self) -> Self {
                Self { by_window: self.by_window.clone() }
            }
        }

        impl<$window, $($param),+> std::fmt::Debug for $name<$window, $($param),+> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.by_window).finish()
            }
        }
    };
}

handle! {
    /// One value per window of a key.
    WindowValueState<W, V> of V
}

handle! {
    /// A list per window of a key.
    WindowListState<W, V> of Vec<V>
}

handle! {
    /// A map per window of a key.
    WindowMapState<W, MK, MV> of EntryMap<MK, MV>
}

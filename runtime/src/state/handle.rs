//! What user functions hold: places of states, resolved once.

mod keys;
mod list;
mod map;
mod reducing;
mod value;

pub use keys::KeyedHandle;
pub use list::ListState;
pub use map::MapState;
pub use reducing::{AggregatingState, ReducingState};
pub use value::ValueState;

pub(super) const UNBOUND: usize = usize::MAX;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($param:ident),+>) => {
        $(#[$doc])*
        ///
        /// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
        pub struct $name<$($param),+> {
            pub(in crate::state) index: usize,
            types: std::marker::PhantomData<fn() -> ($($param,)+)>,
        }

        impl<$($param),+> $name<$($param),+> {
            pub(in crate::state) fn at(index: usize) -> Self {
                Self { index, types: std::marker::PhantomData }
            }
        }

        impl<$($param),+> Default for $name<$($param),+> {
            fn default() -> Self {
                Self::at(crate::state::handle::UNBOUND)
            }
        }

        impl<$($param),+> Clone for $name<$($param),+> {
            fn clone(&self) -> Self {
                Self::at(self.index)
            }
        }

        impl<$($param),+> std::fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.index {
                    crate::state::handle::UNBOUND => f.write_str(concat!(stringify!($name), "(not bound)")),
                    index => write!(f, concat!(stringify!($name), "({})"), index),
                }
            }
        }
    };
}

pub(super) use handle;

//! Keyed state: what an operator remembers per key.
//!
//! All states of an operator live in its [`KeyedStates`], which knows the key at hand; user functions hold light
//! handles ([`ValueState`], [`ListState`], [`MapState`]) that were resolved by name once, when the function was opened.
//! Behind the handles stands one trait, [`StateTable`]: the heap implements it now, and a backend on disk can later,
//! without a change to operators. Snapshots are cut by key group, so that state can be rescaled.
//!
//! # Layout
//! - `table`: what a backend implements
//! - `heap`: tables in memory
//! - `fold_table`: tables of aggregations
//! - `slots`: where the entries of those are
//! - `entries`: entries of tables, encoded
//! - `entry_map`: the map within a key
//! - `keyed`: the states of one operator
//! - `prefetch`: entries that will be read soon
//! - `handle`: what user functions hold

mod entries;
mod entry_map;
mod fold_table;
mod handle;
mod heap;
mod keyed;
mod prefetch;
mod slots;
mod table;
#[cfg(test)]
mod tests;

pub use entry_map::EntryMap;
pub use fold_table::{FoldTable, Spot};
pub use handle::{ListState, MapState, ValueState};
pub use heap::HeapTable;
pub use keyed::{KeyScope, KeyedStates};
pub use table::{GroupEntries, GroupSpace, KeyHash, Snapshot, StateTable};

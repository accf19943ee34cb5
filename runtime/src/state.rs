//! State: what an operator remembers per key, and apart from keys (`operator`).
//!
//! All keyed states of an operator live in its [`KeyedStates`], which knows the key at hand; user functions hold light
//! handles ([`ValueState`], [`ListState`], [`MapState`], [`ReducingState`], [`AggregatingState`]) that were resolved by
//! name once, when the function was opened. Behind the handles stands one trait, [`StateTable`], which tables in memory and
//! tables on disk implement; operators do not know the difference. Snapshots are cut in an instant and given in steps,
//! whole or what has changed, and by key group, so that state can be rescaled.
//!
//! A state with a time-to-live ([`StateTtl`]) has a table of other values: those of the state with the moments of their
//! last use. Handles see to that; states without one pay nothing for it.
//!
//! # Layout
//! - `table`: what a backend implements
//! - `backend`: which of them there are
//! - `heap`: tables in memory
//! - `disk`: tables on disk, by a feature
//! - `fold_table`: tables of aggregations
//! - `spill_table`: those that go to disk where they are too large for memory
//! - `slots`: where the entries of those are
//! - `entries`: entries of tables, encoded
//! - `entry_map`: the map within a key
//! - `keyed`: the states of one operator
//! - `descriptor`: states to be registered
//! - `meta`: what a snapshot says about a state
//! - `track`: what tables know of their snapshots
//! - `ttl`, `expiring`: times-to-live, and what is stored where there is one
//! - `aggregate`: aggregations
//! - `prefetch`: entries that will be read soon
//! - `handle`: what user functions hold
//! - `operator`: what a subtask remembers apart from keys
//! - `states`: both, of one operator
//! - `size`: how much there is

mod aggregate;
mod backend;
mod descriptor;
#[cfg(feature = "disk")]
mod disk;
pub(crate) mod entries;
mod entry_map;
mod expiring;
mod fold_table;
mod handle;
mod heap;
mod keyed;
mod meta;
mod migration;
mod operator;
mod prefetch;
pub(crate) mod schema;
mod size;
mod slots;
mod spill_table;
mod states;
mod table;
#[cfg(test)]
mod tests;
mod track;
mod ttl;

pub use aggregate::Aggregate;
pub use backend::{Backend, BackendTable};
pub use descriptor::StateDescriptor;
#[cfg(feature = "disk")]
pub use disk::Disk;
pub use entry_map::EntryMap;
pub use fold_table::{FoldTable, Spot};
pub use handle::{AggregatingState, KeyedHandle, ListState, MapState, ReducingState, ValueState};
pub use heap::HeapTable;
pub use keyed::{KeyScope, KeyedStates};
pub use meta::{StateKind, StateMeta};
pub use operator::{
    BroadcastState, BroadcastStates, BrokenElements, Elements, ListOperatorState, OperatorLists, OperatorScope,
    OperatorSnapshot, OperatorStateMeta, OperatorStates, Spread,
};
pub use size::StateSize;
pub use spill_table::SpillTable;
pub use states::States;
pub use table::{Content, Cursor, Extent, GroupEntries, GroupSpace, KeyHash, Progress, RunSink, Snapshot, StateTable};
pub(crate) use track::Runs;
pub use ttl::StateTtl;

//! A Kafka broker of one node (KRaft mode), for tests and for trials by hand: `cargo xtask kafka`.
//!
//! It is the real one, from its jars: they come by Maven coordinates the first time, and are kept in
//! `${XDG_CACHE_HOME:-$HOME/.cache}/flott/kafka/<version>/`. It listens on loopback only, on ports that are free.
//!
//! # Layout
//! - [`jars`]: where the jars come from
//! - [`Node`]: a directory with a broker's settings and data, and how to start it
//! - [`Broker`]: a broker that lives no longer than its owner
//! - [`Daemon`]: a broker that outlives who has started it
//! - [`missing`]: why a machine cannot run one

mod broker;
mod daemon;
pub mod jars;
mod node;
mod ready;
mod skipped;

pub use broker::{Broker, missing};
pub use daemon::Daemon;
pub use node::Node;

//! What the lab promises to tests over it: pods run as they would, and what is done to them looks as it would.
//!
//! # Layout
//! - `smoke`: pods run, are read, and end; nothing is left of a cluster
//! - `pods`: what containers of a pod are to each other, to the API server and to the scheduler
//! - `limits`: memory
//! - `images`: images that cannot be pulled
//! - `eviction`: by the node, and by the API server
//! - `names`: services by name
//! - `nodes`: nodes that crash or are cut off, and an API server that is away
//! - `plain`: where containers are plain processes
//! - `port_forward`: ports of pods
//! - `volumes`: claims
//! - `skipped`: tests that cannot be run are told of and counted
//! - `support`: clusters, namespaces and waits

mod eviction;
mod images;
mod limits;
mod names;
mod nodes;
mod plain;
mod pods;
mod port_forward;
mod skipped;
mod smoke;
mod support;
mod volumes;

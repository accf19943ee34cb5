//! Kubernetes for tests: the real etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback, and nodes
//! that run the containers of pods as processes. Nothing of Flott is known here.
//!
//! A cluster lives in a directory and is one of two kinds: it ends with the value that stands for it (tests), or it runs
//! until it is ended by its directory (`cargo xtask kubernetes up`). Several live side by side.
//!
//! # Layout
//! - [`toolchain`]: where the binaries are, and how they are built
//! - [`cluster`]: start, use and end of a cluster; [`options`]: what can be chosen
//! - `control_plane`: how its processes are called; `credentials`: who they are to each other
//! - [`image`]: what containers are made of; `volumes`: what claims are bound to
//! - `process`: processes that are recorded, and end when they should; `ports`: free ones
//! - [`skipped`]: tests that cannot run say so
//! - [`wait`]: bounded waits; [`command`]: commands that have to succeed

pub mod cluster;
pub mod command;
mod control_plane;
mod credentials;
pub mod image;
pub mod options;
mod ports;
mod process;
pub mod skipped;
pub mod toolchain;
mod volumes;
pub mod wait;

pub use cluster::Cluster;
pub use image::Image;
pub use options::Options;
pub use toolchain::Toolchain;

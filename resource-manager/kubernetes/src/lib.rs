//! Workers as pods.
//!
//! The ResourceManager asks for workers; this crate asks the API server for pods, watches them, and says in the words of
//! the backend contract what becomes of them. It also knows what the objects of a cluster are called and labelled, for
//! whoever makes the others: the client that starts a cluster, the Helm chart.
//!
//! It decides nothing about how many workers there should be, and knows nothing of jobs.
//!
//! # Layout
//! - [`names`], [`labels`]: what objects are called, and how they are found
//! - [`client`], [`error`]: the way to the API server, and what it answers instead
//! - [`settings`]: what the configuration says; [`template`], [`queue`], [`pod`]: the pod of a worker; [`owner`]: whose it is;
//!   [`pod_group`]: what Volcano is told of a gang
//! - [`observed`], [`reason`]: a pod as it is watched, and what its status means
//! - [`fleet`]: every decision, pure; [`pace`]: how fast requests follow one another
//! - `requests`, [`backend`]: the effects
//! - [`lease`]: how JobManagers agree on who leads; [`outcome`]: how the Job that keeps one hears that its job has failed
//! - [`cluster`]: what the client of a cluster makes and finds: the JobManager and all around it

pub mod backend;
pub mod client;
pub mod cluster;
pub mod error;
pub mod fleet;
pub mod labels;
pub mod lease;
pub mod names;
pub mod observed;
pub mod outcome;
pub mod owner;
pub mod pace;
pub mod pod;
pub mod pod_group;
pub mod queue;
pub mod reason;
pub mod settings;
pub mod template;

mod requests;

pub use backend::KubernetesBackend;
pub use client::Connection;
pub use error::{ApiError, Error};
pub use names::ClusterId;
pub use settings::{Place, Settings};

//! The Helm chart on a real Kubernetes: installed, tested, upgraded, rolled back and uninstalled, while jobs run.
//!
//! # Layout
//! - `session`: a session with standalone workers
//! - `application`: clusters of one job
//! - `lost`: those whose JobManager is lost, with its node or without it
//! - `everything`: a session with all that a release may have beside it
//! - `native`: workers that the JobManager asks for
//! - `several`: JobManagers of which one leads
//! - `plain`: the manifests of `deploy/kubernetes`, without Helm
//! - `metrics`: what a Prometheus would collect that goes by the PodMonitors
//! - `tls`: a session whose REST port speaks TLS
//! - `notes`: what the chart says to whoever has installed it
//! - `refused`: what the API server says of all sets of values
//! - `release`: a release in a namespace of its own, and its clients

mod application;
mod everything;
mod lost;
mod metrics;
mod native;
mod notes;
mod plain;
mod refused;
mod release;
mod session;
mod several;
mod tls;

//! The command line over a real Kubernetes: API server, controllers, scheduler, and nodes whose containers are processes.
//!
//! # Layout
//! - `world`: a cluster that tests share, and a namespace and a sandbox for each
//! - `session`: sessions from start to stop
//! - `application`: clusters of one job, attached, detached, interrupted, and from an image
//! - `contention`: clients of one name, and what a client leaves that dies
//! - `abandoned`: clients that are killed before their cluster has its job
//! - `orphans`: pods that a JobManager finds and that are of no use
//! - `replicas`: several JobManagers, of which one leads
//! - `refused`: what cannot be, in words
//! - `inside`: clients in pods of the cluster
//! - `job`: a job that runs until it is let go on, for those that follow
//! - `disturbed`: pods that end in every way
//! - `bucket`, with the feature `s3`: what is remembered in an S3-compatible store
//! - `leaders`: JobManagers that are lost with their nodes, alone or with one that stands by
//! - `nodes`: nodes that are lost, and an API server that is away or does not answer
//! - `pending`: why TaskManagers do not come and how they end, as it is told; `told`: how soon
//! - `placed`: TaskManagers on nodes that are kept for them, of an image that is not for everybody
//! - `queues`: what the queues of batch schedulers are told
//! - `scaled`: more pods and fewer, quotas, and credentials that have expired
//! - `tls`: clusters whose REST port speaks TLS

mod abandoned;
mod application;
#[cfg(feature = "s3")]
mod bucket;
mod contention;
mod disturbed;
mod inside;
mod job;
mod leaders;
mod nodes;
mod orphans;
mod pending;
mod placed;
mod queues;
mod refused;
mod replicas;
mod scaled;
mod session;
mod tls;
mod told;
mod world;

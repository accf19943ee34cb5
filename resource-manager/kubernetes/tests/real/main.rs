//! The backend over a real API server with controllers, scheduler and nodes: the contract of all backends, and what a cluster
//! does to pods.
//!
//! # Layout
//! - `world`: a cluster that tests share, namespaces, backends, and what the containers of these tests do
//! - `reasons`: why pods do not run, and how they end
//! - `access`: rights, credentials, and an API server that is away
//! - `network`: a way to the API server that is lost

mod access;
mod network;
mod reasons;
mod world;

use flott_resource_manager::backend::contract::laws;

laws!(contract: optional super::world::contract_bench);

//! The backend over an API server in memory: the contract of all backends, and what is special about pods.

mod api;
mod behaviour;

use std::sync::Arc;

use api::Api;
use flott_core::config::Loader;
use flott_kubernetes::{KubernetesBackend, Place, Settings};
use flott_resource_manager::backend::contract::{Bench, laws};

/// Settings of a cluster with these keys beside what tests have in common.
fn settings(keys: &[&str]) -> Settings {
    let common = [
        "kubernetes.cluster-id=demo",
        "kubernetes.container-start.timeout=100 ms",
        "kubernetes.request.retry-timeout=5 s",
        "kubernetes.request.rate=10000",
    ];
    let config = Loader::new().overrides(common.iter().chain(keys)).load().expect("known keys").config;
    Settings::read(&config, Place { address: "jobmanager:8081".into(), pod: None }).expect("settings")
}

/// A bench over `api`, of which the backends are made with these keys.
fn bench_over(api: &Api, keys: &[&str]) -> Bench {
    let (connection, settings) = (api.connection(), settings(keys));
    Bench::new(move || Arc::new(KubernetesBackend::new(connection.clone(), settings.clone())), api.clone())
}

async fn bench() -> Bench {
    bench_over(&Api::start().await, &[])
}

laws!(contract: super::bench);

use flott_core::config::keys::{rest, taskmanager};

use crate::{
    clock::now_ms,
    dispatcher::{Measured, Stage},
    rest::Context,
};

/// What an answer is made of.
#[derive(Debug)]
pub struct Facts {
    /// The host under which clients know this JobManager.
    pub host: String,
    pub stage: Stage,
    pub now: u64,
    /// Of the cluster; none where another leads.
    pub cluster: Option<Measured>,
    /// Whether TaskManagers are asked for their figures by themselves.
    pub asks_workers: bool,
}

impl Facts {
    /// Waits for JobMasters and the ResourceManager.
    pub async fn gather(context: &Context) -> Self {
        let configuration = &context.configuration;
        Self {
            host: configuration.get(&rest::ADDRESS),
            stage: context.dispatcher.stage(),
            cluster: context.dispatcher.measured().await,
            now: now_ms(),
            asks_workers: configuration.get(&taskmanager::METRICS_PORT).is_some(),
        }
    }
}

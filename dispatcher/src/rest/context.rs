use std::{path::PathBuf, sync::OnceLock};

use flott_core::config::Configuration;
use flott_rpc::tls::Connector;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use crate::{control::Control, dispatcher::Dispatcher, jars::JarStore, planner::Planner};

/// What the routes work with.
#[derive(Debug)]
pub struct Context {
    /// Jobs.
    pub dispatcher: Dispatcher,
    /// Connections of TaskManagers.
    pub control: Control,
    /// Who may ask.
    pub access: Access,
    /// The cluster's configuration.
    pub configuration: Configuration,
    /// Uploaded programs.
    pub jars: JarStore,
    /// Plans them.
    pub planner: Planner,
    /// Where this process writes its logs, if it writes files.
    pub log_directory: Option<PathBuf>,
    /// The `http://HOST:PORT` or `https://HOST:PORT` that clients use.
    pub web_address: String,
    /// Reaches the one that leads, where JobManagers speak TLS.
    pub leader: Option<Connector>,
    /// Most bytes of an upload.
    pub upload_max: u64,
    /// Cancelled to ask for the end of the whole JobManager.
    pub end: CancellationToken,
    /// The OpenAPI document, once somebody has asked for it.
    pub open_api: OnceLock<String>,
}

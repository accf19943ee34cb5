//! The way to the API server: who this is, and which namespace is meant.

use std::time::Duration;

use flott_core::config::{Configuration, keys::kubernetes as keys};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::error::Error;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long one watch lasts before the API server ends it, so that silence that is longer is that of a way that is lost: nobody hangs up
/// who has forgotten a connection.
pub(crate) const WATCH_LASTS: Duration = Duration::from_secs(20);

/// A client and the namespace that it works in. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    /// Speaks with the API server.
    pub client: Client,
    /// The same for watches that last 20 s: gives up what is silent for longer.
    pub watching: Client,
    /// Where everything of the cluster is.
    pub namespace: String,
    /// The API server, for people.
    pub server: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("namespace", &self.namespace)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// As `config` says: the kubeconfig and context that it names, else those of the environment, else the service account of
    /// the pod that this runs in. Asks nothing of the server yet.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no usable configuration.
    pub async fn open(config: &Configuration) -> Result<Self, Error> {
        let bad = |error: String| Error::Config(error);
        let context = config.get(&keys::CONTEXT);
        let file = config.get(&keys::CONFIG_FILE);
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let mut settings = match file {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(&path).map_err(|error| bad(error.to_string()))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await
            }
            .map_err(|error| bad(format!("{}: {error}", path.display())))?,
            None if context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| bad(error.to_string()))?
            }
            None => Config::infer().await.map_err(|error| bad(error.to_string()))?,
        };
        settings.connect_timeout = Some(CONNECT_MAX);
        // Whoever asks decides what is tried again, and for how long.
        settings.default_retry = false;
        let namespace = config.get(&keys::NAMESPACE).unwrap_or_else(|| settings.default_namespace.clone());
        let server = settings.cluster_url.to_string();
        let mut watches = settings.clone();
        watches.read_timeout = Some(WATCH_LASTS + config.get(&keys::REQUEST_TIMEOUT));
        watches.reset_reader_on_write = true;
        let made = |settings: Config| Client::try_from(settings).map_err(|error: kube::Error| bad(error.to_string()));
        Ok(Self { client: made(settings)?, watching: made(watches)?, namespace, server })
    }
}

//! The way to a JobManager from outside of the cluster: a port of this machine's loopback, each of whose connections goes
//! through the API server to a JobManager that runs at that moment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};

use super::{PORT, find};
use crate::{
    client::Connection,
    error::ApiError,
    names::ClusterId,
    observed::ObservedPod,
    reason::{self, Phase},
    template::MAIN_CONTAINER,
};

/// How long the API server may take to reach a pod.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// An open way. It closes when this is dropped.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    trouble: Trouble,
    task: AbortHandle,
}

/// Why the last connection did not come about.
type Trouble = Arc<Mutex<Option<String>>>;

impl Forward {
    /// Opens one. Whether there is a JobManager shows when it is used.
    ///
    /// # Errors
    /// When this machine has no port for it.
    pub async fn open(connection: Connection, cluster: ClusterId) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let trouble = Trouble::default();
        let task = tokio::spawn(serve(listener, connection, cluster, trouble.clone())).abort_handle();
        Ok(Self { address, trouble, task })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why nothing came through the last time, if that is known.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, connection: Connection, cluster: ClusterId, trouble: Trouble) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (connection, cluster, trouble) = (connection.clone(), cluster.clone(), trouble.clone());
                tokio::spawn(async move {
                    let carried = carry(stream, &connection, &cluster).await.err();
                    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = carried;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no more connections are forwarded");
                return;
            }
        }
    }
}

/// Carries one connection to its end, to a JobManager that is ready if there is one: that of a node that was just lost counts
/// as such for a while, and cannot be reached.
async fn carry(mut here: TcpStream, connection: &Connection, cluster: &ClusterId) -> Result<(), String> {
    let pods = find::jobmanagers(connection, cluster).await.map_err(|error| error.to_string())?;
    let mut pods: Vec<_> = pods.iter().filter(|pod| runs(pod)).collect();
    pods.sort_by_key(|pod| !is_ready(pod));
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let mut forwarded = Err(format!("no JobManager of cluster {cluster} runs"));
    for pod in pods {
        let opened = timeout(OPEN_MAX, api.portforward(pod.name(), &[PORT])).await;
        let what = || format!("pods/portforward {:?}", pod.name());
        forwarded = match opened {
            Ok(opened) => opened.map_err(|error| ApiError::new("create", what(), &error).to_string()),
            Err(_) => Err(format!("create {}: no answer within {OPEN_MAX:?}", what())),
        };
        if forwarded.is_ok() {
            break;
        }
    }
    let mut forwarder = forwarded?;
    let refused = forwarder.take_error(PORT);
    let Some(mut there) = forwarder.take_stream(PORT) else { return Ok(()) };
    let copied = tokio::io::copy_bidirectional(&mut here, &mut there);
    let refused = async {
        match refused {
            Some(refused) => refused.await,
            None => None,
        }
    };
    tokio::select! {
        // How it ended is for those who speak through it.
        _ = copied => Ok(()),
        Some(error) = refused => Err(error.trim().to_owned()),
    }
}

fn runs(pod: &ObservedPod) -> bool {
    !pod.is_being_deleted() && matches!(reason::phase(pod, MAIN_CONTAINER), Phase::Running)
}

fn is_ready(pod: &ObservedPod) -> bool {
    pod.condition("Ready").is_some_and(|ready| ready.status == "True")
}

//! Why a cluster cannot be made, found or reached.

use std::time::Duration;

use crate::{error::ApiError, names::ClusterId};

/// What goes wrong with a cluster as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A request failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The name is taken.
    #[error("the cluster id {cluster} is taken in namespace {namespace:?}: {by}")]
    Taken {
        /// The name.
        cluster: ClusterId,
        /// Where.
        namespace: String,
        /// By what, and what would help.
        by: String,
    },
    /// Somebody else has removed or replaced the cluster while it was made.
    #[error("cluster {cluster} was removed by somebody else while it was made")]
    Lost {
        /// The name.
        cluster: ClusterId,
    },
    /// There is none.
    #[error("there is no cluster {cluster} in namespace {namespace:?}")]
    Missing {
        /// The name.
        cluster: ClusterId,
        /// Where.
        namespace: String,
    },
    /// The JobManager could not do its work.
    #[error(
        "the service account {account:?} of namespace {namespace:?}, which the JobManager would have, may not {missing}: give \
         it the role in docs/kubernetes.md, or name another with kubernetes.jobmanager.service-account"
    )]
    Rights {
        /// The service account.
        account: String,
        /// Where.
        namespace: String,
        /// Verbs and resources.
        missing: String,
    },
    /// Pods would wait for their certificates.
    #[error(
        "kubernetes.tls.secret: the Secret {secret:?} in namespace {namespace:?} {lacks}: make one of the kind kubernetes.io/tls with \
         tls.crt, tls.key and ca.crt"
    )]
    Tls {
        /// The Secret.
        secret: String,
        /// Where.
        namespace: String,
        /// What is wrong with it.
        lacks: String,
    },
    /// Something is still there.
    #[error("cluster {cluster} is being removed, but after {} s there is still {left}", .waited.as_secs())]
    Remains {
        /// The name.
        cluster: ClusterId,
        /// What.
        left: String,
        /// For how long it was waited.
        waited: Duration,
    },
}

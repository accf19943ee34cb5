//! TLS of this process, and of the REST port.
//!
//! Who listens has an [`Acceptor`], who connects a [`Connector`]; both are made from the configuration and read their files again
//! when these change, so that certificates can be renewed while everything runs. A file that cannot be read any more, or that
//! does not fit the others because only one of them has been replaced so far, leaves what was read before in force.

mod acceptor;
mod connector;
mod explained;
mod files;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use acceptor::Acceptor;
pub use connector::{Connector, Stream, stream};
pub use explained::explain;

/// The TLS of the REST port cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A key is missing.
    #[error("security.ssl.rest.enabled is true, so the JobManager needs {key}: {what}")]
    Missing {
        /// Which.
        key: &'static str,
        /// What it is for.
        what: &'static str,
    },
    /// A file does not serve.
    #[error("{key}: {} cannot be used: {reason}", .path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The name is none.
    #[error("{key}: {name:?} is neither a host name nor an address")]
    Name {
        /// The key that has it, or what the name is of.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// The certificates that this system trusts cannot be found.
    #[error("what this system trusts is not known: {reason}; set security.ssl.rest.ca")]
    System {
        /// Why not.
        reason: String,
    },
}

/// Chooses the cryptography of the whole process, unless somebody has. HTTP clients that can do TLS cannot be made before.
pub fn provide() {
    provider();
}

/// The cryptography of the process.
fn provider() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // If another thread is quicker, there is one as well.
        drop(ring::default_provider().install_default());
    }
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

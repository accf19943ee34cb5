//! The side that listens.

use std::{fmt, io, sync::Arc};

use flott_core::config::{Configuration, keys::security};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    TlsError,
    files::{Named, Watched},
    provider,
};

/// Makes TLS streams of connections that were accepted.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
}

impl Acceptor {
    /// By the configuration of a JobManager; `None` if its port speaks no TLS.
    ///
    /// # Errors
    /// When certificate or key are not set, cannot be read, or do not belong together.
    pub fn of(config: &Configuration) -> Result<Option<Self>, TlsError> {
        if !config.get(&security::SSL_REST_ENABLED) {
            return Ok(None);
        }
        let certificate = Named {
            key: security::SSL_REST_CERTIFICATE.key(),
            path: config.get(&security::SSL_REST_CERTIFICATE).ok_or(TlsError::Missing {
                key: security::SSL_REST_CERTIFICATE.key(),
                what: "a PEM file with its certificate",
            })?,
        };
        let key = Named {
            key: security::SSL_REST_KEY.key(),
            path: config.get(&security::SSL_REST_KEY).ok_or(TlsError::Missing {
                key: security::SSL_REST_KEY.key(),
                what: "a PEM file with the private key of its certificate",
            })?,
        };
        let provider = provider();
        let (files, of_identity) = (vec![certificate.clone(), key.clone()], provider.clone());
        let identity = Watched::new(files, move || identity(&certificate, &key, &of_identity))?;
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::System { reason: error.to_string() })?;
        let mut tls = builder.with_no_client_auth().with_cert_resolver(Arc::new(Identity(identity)));
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { tls: TlsAcceptor::from(Arc::new(tls)) }))
    }

    /// Shakes hands. Not bounded in time.
    ///
    /// # Errors
    /// When the client speaks no TLS, none that serves, or does not trust the certificate; and whatever the connection breaks with.
    pub async fn accept<Io>(&self, io: Io) -> io::Result<TlsStream<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        self.tls.accept(io).await
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// Certificate and key of now.
struct Identity(Watched<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

fn identity(certificate: &Named, key: &Named, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(&key.path).map_err(|error| key.unusable(error))?;
    CertifiedKey::from_der(chain, secret, provider)
        .map_err(|error| key.unusable(format!("it is no key of {}: {error}", certificate.path.display())))
}

/// All of a file, of which there is one at least.
pub(super) fn certificates(file: &Named) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(&file.path).map_err(|error| file.unusable(error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| file.unusable(error))?;
    if found.is_empty() { Err(file.unusable("it holds no certificate in PEM")) } else { Ok(found) }
}

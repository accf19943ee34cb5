//! The side that connects.

use std::{fmt, io, sync::Arc};

use flott_core::config::{Configuration, keys::security};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

use super::{
    TlsError,
    acceptor::certificates,
    explained::{explain, in_words},
    files::{Named, Watched},
    provider,
};

/// Makes TLS streams of connections to a JobManager, and knows whom to trust.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

/// A connection to a JobManager.
pub type Stream = Either<TcpStream, TlsStream<TcpStream>>;

impl Connector {
    /// By the configuration; `None` if JobManagers speak no TLS.
    ///
    /// # Errors
    /// When the trusted certificates cannot be read.
    pub fn of(config: &Configuration) -> Result<Option<Self>, TlsError> {
        if config.get(&security::SSL_REST_ENABLED) { Self::new(config, None).map(Some) } else { Ok(None) }
    }

    /// Whether or not the configuration says that JobManagers speak TLS. `name`, where there is one, is that of a JobManager that is
    /// connected to by another; the configured one goes before it.
    ///
    /// # Errors
    /// As [`of`](Self::of), and when the name is none.
    pub fn new(config: &Configuration, name: Option<&str>) -> Result<Self, TlsError> {
        let name = match config.get(&security::SSL_REST_SERVER_NAME) {
            Some(name) => Some(server_name(&name, security::SSL_REST_SERVER_NAME.key())?),
            None => name.map(|name| server_name(name, "the JobManager's host")).transpose()?,
        };
        let provider = provider();
        let trust = match config.get(&security::SSL_REST_CA) {
            Some(path) => {
                let file = Named { key: security::SSL_REST_CA.key(), path };
                Trust::File(Watched::new(vec![file.clone()], move || verifier(&file))?)
            }
            None => {
                let verifier = SystemVerifier::new(provider.clone());
                Trust::System(verifier.map_err(|error| TlsError::System { reason: error.to_string() })?)
            }
        };
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError::System { reason: error.to_string() })?;
        let verifier = Arc::new(Verifier { trust, name });
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// For HTTP clients.
    pub fn config(&self) -> ClientConfig {
        (*self.config).clone()
    }

    /// Shakes hands over a connection to `address` (`host:port`). Not bounded in time.
    ///
    /// # Errors
    /// When the other side speaks no TLS, or has no certificate that is trusted; and whatever the connection breaks with.
    pub async fn connect<Io>(&self, address: &str, io: Io) -> io::Result<TlsStream<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = server_name(host, "the JobManager's host").map_err(io::Error::other)?;
        TlsConnector::from(self.config.clone()).connect(name, io).await.map_err(|error| match explain(&error) {
            Some(text) => io::Error::new(error.kind(), text),
            None => error,
        })
    }
}

/// A connection to `address`, as it is or with TLS.
///
/// # Errors
/// As [`Connector::connect`].
pub async fn stream(tls: Option<&Connector>, address: &str, io: TcpStream) -> io::Result<Stream> {
    Ok(match tls {
        Some(tls) => Stream::Right(tls.connect(address, io).await?),
        None => Stream::Left(io),
    })
}

fn server_name(name: &str, key: &'static str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name { key, name: name.to_owned() })
}

fn verifier(file: &Named) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| file.unusable(error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    verifier.map_err(|error| file.unusable(error))
}

/// Whose certificates are good.
enum Trust {
    File(Watched<Arc<WebPkiServerVerifier>>),
    System(SystemVerifier),
}

/// Looks for the configured name in certificates, and says how to mend what is wrong with one.
struct Verifier {
    trust: Trust,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Verifier {
    fn with<T>(&self, use_it: impl FnOnce(&dyn ServerCertVerifier) -> T) -> T {
        match &self.trust {
            Trust::File(watched) => use_it(&**watched.get()),
            Trust::System(verifier) => use_it(verifier),
        }
    }

    fn explained(&self, error: rustls::Error) -> rustls::Error {
        let rustls::Error::InvalidCertificate(cause) = &error else { return error };
        let hint = match cause {
            // The signature is bad where another authority of the same name has signed.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match &self.trust {
                Trust::File(_) => "it is of no authority in security.ssl.rest.ca",
                Trust::System(_) => {
                    "it is of no authority that this system trusts; security.ssl.rest.ca names a file with the certificate of its own"
                }
            },
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "security.ssl.rest.server-name says which name it is for"
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "it is that of an authority, and no server's: make one with basicConstraints=CA:FALSE"
            }
            _ => return error,
        };
        in_words(format!("{cause}: {hint}"))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = self.name.as_ref().unwrap_or(server_name);
        self.with(|verifier| verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now))
            .map_err(|error| self.explained(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.with(|verifier| verifier.verify_tls12_signature(message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.with(|verifier| verifier.verify_tls13_signature(message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.with(|verifier| verifier.supported_verify_schemes())
    }
}

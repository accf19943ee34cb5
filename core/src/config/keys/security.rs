//! Who may talk to a cluster.

use std::path::PathBuf;

use crate::config::option::{key, section};

section! {
    "Security",
    "A cluster listens on loopback unless it is told otherwise, and then it wants a token.";

    /// Token that every request and every TaskManager must show. Unset, a cluster that listens on loopback asks for
    /// none.
    TOKEN: Option<String> = key("security.token").secret();

    /// Token that opens `/metrics`, and nothing else: for whoever collects metrics and must not be able to run programs.
    /// `security.token` opens it too. It is asked for only where there is a `security.token`.
    METRICS_TOKEN: Option<String> = key("security.metrics-token").secret();

    /// Listen beyond loopback without a token. Everyone who reaches the port can then run programs as this user.
    INSECURE: bool = key("security.insecure").default("false");

    /// Whether the REST port speaks TLS, and clients and TaskManagers speak it there: everything that goes through that port is
    /// encrypted then. Connections between the tasks of a job are others, and are not.
    SSL_REST_ENABLED: bool = key("security.ssl.rest.enabled").default("false");

    /// PEM file with the JobManager's certificate, followed by those of intermediate authorities. It is read again when it changes.
    SSL_REST_CERTIFICATE: Option<PathBuf> = key("security.ssl.rest.certificate");

    /// PEM file with the private key of that certificate.
    SSL_REST_KEY: Option<PathBuf> = key("security.ssl.rest.key");

    /// PEM file with the certificates that clients, TaskManagers and JobManagers that stand by trust: those of authorities, or the
    /// JobManager's own. It is read again when it changes. Unset, they trust what this system trusts.
    SSL_REST_CA: Option<PathBuf> = key("security.ssl.rest.ca");

    /// Name that the JobManager's certificate must be for. Unset, it is the host that is connected to, which may be an address.
    SSL_REST_SERVER_NAME: Option<String> = key("security.ssl.rest.server-name");
}

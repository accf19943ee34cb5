use std::{fs, path::Path, time::Duration};

use flott_core::config::{Configuration, Loader};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{
    Acceptor, Connector, TlsError,
    files::{Named, Watched},
};

/// Files of an authority and of a JobManager for `names`.
struct Files(TempDir);

impl Files {
    fn of(names: &[&str]) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.renew(names);
        files
    }

    /// Another authority, and another certificate.
    fn renew(&self, names: &[&str]) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (authority, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        self.write("ca.crt", &params.self_signed(&authority).unwrap().pem());
        let issuer = Issuer::new(params, authority);
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
        self.write("tls.crt", &certificate.pem());
        self.write("tls.key", &own.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        // As a mounted Secret: another file takes its place.
        let new = self.0.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.path().join(name)).unwrap();
    }

    fn config(&self, more: &[&str]) -> Configuration {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let own = [
            "security.ssl.rest.enabled=true".to_owned(),
            format!("security.ssl.rest.certificate={}", path("tls.crt")),
            format!("security.ssl.rest.key={}", path("tls.key")),
            format!("security.ssl.rest.ca={}", path("ca.crt")),
        ];
        let all: Vec<_> = own.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Loader::new().overrides(&all).load().unwrap().config
    }
}

/// What comes of a client that connects to `address`: the greeting that it hears.
async fn greeted(acceptor: &Acceptor, connector: &Connector, address: &str) -> Result<String, String> {
    let (near, far) = duplex(16 << 10);
    let served = async {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    };
    let asked = async {
        let mut stream = connector.connect(address, near).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map(|_| text)
    };
    let (_, heard) = tokio::join!(served, asked);
    heard.map_err(|error| error.to_string())
}

fn both(config: &Configuration) -> (Acceptor, Connector) {
    (Acceptor::of(config).unwrap().unwrap(), Connector::of(config).unwrap().unwrap())
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} does not contain {part:?}");
    }
}

#[tokio::test]
async fn names_and_addresses_of_the_certificate_are_reached() {
    let files = Files::of(&["jm.example", "127.0.0.1", "::1"]);
    let (acceptor, connector) = both(&files.config(&[]));
    for address in ["jm.example:8081", "127.0.0.1:8081", "[::1]:8081"] {
        assert_eq!(greeted(&acceptor, &connector, address).await.as_deref(), Ok("hello"), "{address}");
    }
    let other = greeted(&acceptor, &connector, "10.0.0.1:8081").await.unwrap_err();
    contains(&other, &["10.0.0.1", "jm.example", "security.ssl.rest.server-name"]);
}

#[tokio::test]
async fn a_configured_name_is_looked_for_whatever_is_dialled() {
    let files = Files::of(&["jm.example"]);
    let acceptor = Acceptor::of(&files.config(&[])).unwrap().unwrap();
    let named = files.config(&["security.ssl.rest.server-name=jm.example"]);
    let connector = Connector::new(&named, Some("elsewhere")).unwrap();
    assert_eq!(greeted(&acceptor, &connector, "10.0.0.1:8081").await.as_deref(), Ok("hello"));
    let connector = Connector::new(&files.config(&[]), Some("jm.example")).unwrap();
    assert_eq!(greeted(&acceptor, &connector, "127.0.0.1:5000").await.as_deref(), Ok("hello"));
    let connector = Connector::new(&files.config(&[]), Some("elsewhere")).unwrap();
    assert!(
        greeted(&acceptor, &connector, "jm.example:8081").await.is_err(),
        "the name of the dialled host serves not"
    );
}

#[tokio::test]
async fn strangers_are_not_trusted_and_it_is_said_why() {
    let (files, others) = (Files::of(&["jm.example"]), Files::of(&["jm.example"]));
    let (acceptor, _) = both(&others.config(&[]));
    let (_, connector) = both(&files.config(&[]));
    let refused = greeted(&acceptor, &connector, "jm.example:8081").await.unwrap_err();
    contains(&refused, &["not trusted", "security.ssl.rest.ca"]);
    let of_system = Loader::new().overrides(["security.ssl.rest.enabled=true"]).load().unwrap().config;
    if let Ok(connector) = Connector::new(&of_system, None) {
        let refused = greeted(&acceptor, &connector, "jm.example:8081").await.unwrap_err();
        contains(&refused, &["not trusted", "this system", "security.ssl.rest.ca"]);
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_else_has_signed_serves_if_it_is_a_servers() {
    let files = Files::of(&[]);
    for (is_ca, expected) in [(IsCa::ExplicitNoCa, "hello"), (IsCa::Ca(BasicConstraints::Unconstrained), "CA:FALSE")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["jm.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap().pem();
        files.write("ca.crt", &certificate);
        files.write("tls.crt", &certificate);
        files.write("tls.key", &key.serialize_pem());
        let (acceptor, connector) = both(&files.config(&[]));
        let told = greeted(&acceptor, &connector, "jm.example:8081").await;
        contains(&told.unwrap_or_else(|error| error), &[expected]);
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_from_who_is_not_there() {
    let (_, connector) = both(&Files::of(&["jm.example"]).config(&[]));
    let (near, mut far) = duplex(1024);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let error = connector.connect("jm.example:8081", near).await.unwrap_err();
    contains(&error.to_string(), &["speaks no TLS", "security.ssl.rest.enabled"]);
}

#[tokio::test]
async fn renewed_certificates_are_used_by_both_sides() {
    let files = Files::of(&["jm.example"]);
    let (acceptor, connector) = both(&files.config(&[]));
    files.renew(&["jm.example"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(greeted(&acceptor, &connector, "jm.example:8081").await.as_deref(), Ok("hello"));
}

#[test]
fn a_change_that_does_not_serve_is_not_used() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("number");
    fs::write(&path, "1").unwrap();
    let file = Named { key: "a.number", path: path.clone() };
    let number = |path: &Path| fs::read_to_string(path).unwrap_or_default().parse::<u32>();
    let watched =
        Watched::new(vec![file.clone()], move || number(&file.path).map_err(|error| file.unusable(error))).unwrap();
    let now = || *watched.get_looking_every(Duration::ZERO);
    assert_eq!(now(), 1);
    fs::write(&path, "none").unwrap();
    assert_eq!(now(), 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(now(), 1);
    fs::write(&path, "22").unwrap();
    assert_eq!(now(), 22);
    assert_eq!(*watched.get(), 22);
}

#[track_caller]
fn refused(config: &Configuration, parts: &[&str]) {
    let error = match Acceptor::of(config) {
        Err(error) => error,
        Ok(_) => Connector::of(config).unwrap_err(),
    };
    contains(&error.to_string(), parts);
}

#[test]
fn settings_that_do_not_serve_are_named() {
    let files = Files::of(&["jm.example"]);
    let only = |settings: &[&str]| Loader::new().overrides(settings).load().unwrap().config;
    assert!(Acceptor::of(&only(&[])).unwrap().is_none());
    assert!(Connector::of(&only(&[])).unwrap().is_none());
    refused(&only(&["security.ssl.rest.enabled=true"]), &["security.ssl.rest.certificate"]);
    let half = only(&["security.ssl.rest.enabled=true", "security.ssl.rest.certificate=/nowhere.crt"]);
    refused(&half, &["security.ssl.rest.key"]);
    refused(&files.config(&["security.ssl.rest.certificate=/nowhere.crt"]), &["rest.certificate", "/nowhere.crt"]);
    refused(&files.config(&["security.ssl.rest.ca=/nowhere.crt"]), &["rest.ca", "/nowhere.crt"]);
    refused(&files.config(&["security.ssl.rest.server-name=no name"]), &["rest.server-name", "no name"]);
    files.write("tls.key", &KeyPair::generate().unwrap().serialize_pem());
    refused(&files.config(&[]), &["rest.key", "it is no key of", "tls.crt"]);
    files.write("tls.key", "no key");
    refused(&files.config(&[]), &["rest.key"]);
    files.write("tls.crt", "no certificate");
    refused(&files.config(&[]), &["rest.certificate", "no certificate in PEM"]);
    assert!(matches!(Acceptor::of(&files.config(&[])), Err(TlsError::File { .. })));
}

//! Certificates of clusters under test, of an authority that is made for them.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The files of a JobManager and of those who trust it, in a directory, under the names that they have in Secrets of Kubernetes.
#[derive(Debug)]
pub struct Certificates {
    directory: PathBuf,
    names: Vec<String>,
    made: u32,
}

impl Certificates {
    /// Makes those of a JobManager that is reached by `names`, host names and addresses.
    pub fn new(directory: impl Into<PathBuf>, names: &[&str]) -> Self {
        let mut made =
            Self { directory: directory.into(), names: names.iter().map(|&name| name.into()).collect(), made: 0 };
        fs::create_dir_all(&made.directory).expect("a directory can be made");
        made.renew();
        made
    }

    /// Replaces all of them by others, of another authority.
    pub fn renew(&mut self) {
        self.made += 1;
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, format!("authority {}", self.made));
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (its_key, key) = (new_key(), new_key());
        let own = authority.self_signed(&its_key).expect("it can sign itself");
        let issuer = Issuer::new(authority, its_key);
        let params = CertificateParams::new(self.names.clone()).expect("these are names");
        let certificate = params.signed_by(&key, &issuer).expect("it can sign");
        self.replace("ca.crt", &own.pem());
        self.replace("tls.crt", &certificate.pem());
        self.replace("tls.key", &key.serialize_pem());
    }

    fn replace(&self, name: &str, text: &str) {
        let new = self.directory.join("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, self.directory.join(name))).expect("it can be written");
    }

    /// The path of one.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.path("ca.crt")).expect("it was written")
    }

    /// Lines of a configuration for all members of the cluster and its clients.
    pub fn settings(&self) -> String {
        let line = |key: &str, name: &str| format!("security.ssl.rest.{key}: {}\n", self.path(name).display());
        let files = [line("certificate", "tls.crt"), line("key", "tls.key"), line("ca", "ca.crt")];
        format!("security.ssl.rest.enabled: true\n{}", files.concat())
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("keys can be made")
}

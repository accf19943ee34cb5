//! Who the processes of a cluster are to each other: an authority of its own, certificates and kubeconfigs.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

/// Groups and users that Kubernetes has rules for.
const ADMINISTRATORS: &str = "system:masters";
const NODES: &str = "system:nodes";

/// The names that the API server answers to.
const API_SERVER: [&str; 5] =
    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// The files, in a directory of their own.
#[derive(Debug, Clone)]
pub struct Credentials {
    directory: PathBuf,
    server: String,
}

impl Credentials {
    /// Those of the cluster in `directory`, whose API server listens on `port` of loopback.
    pub fn of(directory: &Path, port: u16) -> Self {
        Self { directory: directory.to_owned(), server: format!("https://127.0.0.1:{port}") }
    }

    /// Makes all that the control plane needs.
    pub fn make(&self) -> anyhow::Result<()> {
        let pki = self.directory.join("pki");
        fs::create_dir_all(&pki).with_context(|| format!("cannot make {}", pki.display()))?;
        let key = KeyPair::generate()?;
        let certificate = authority().self_signed(&key)?;
        self.write("pki/ca.key", &key.serialize_pem())?;
        self.write("pki/ca.crt", &certificate.pem())?;
        let service_accounts = KeyPair::generate()?;
        self.write("pki/service-accounts.key", &service_accounts.serialize_pem())?;
        self.write("pki/service-accounts.pub", &service_accounts.public_key_pem())?;
        let loopback = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut names = vec![loopback.clone(), SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)))];
        for name in API_SERVER {
            names.push(SanType::DnsName(name.try_into()?));
        }
        self.sign("api-server", "kube-apiserver", None, names)?;
        self.sign("kubelet-server", "kubelet", None, vec![loopback])?;
        self.sign("kubelet-client", "kube-apiserver-kubelet-client", Some(ADMINISTRATORS), Vec::new())?;
        self.sign("front-proxy", "front-proxy-client", None, Vec::new())?;
        self.user("admin", "lab-admin", Some(ADMINISTRATORS))?;
        self.user("controller-manager", "system:kube-controller-manager", None)?;
        self.user("scheduler", "system:kube-scheduler", None)?;
        self.user("names", "lab-names", None)
    }

    /// Makes those of a node.
    pub fn node(&self, name: &str) -> anyhow::Result<()> {
        self.user(name, &format!("system:node:{name}"), Some(NODES))
    }

    /// The kubeconfig of a user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.directory.join(format!("{user}.kubeconfig"))
    }

    /// A file of those that [`Credentials::make`] makes.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join("pki").join(name)
    }

    fn user(&self, user: &str, common_name: &str, group: Option<&str>) -> anyhow::Result<()> {
        self.sign(user, common_name, group, Vec::new())?;
        // JSON is YAML too, and the nodes can read it with nothing but a standard library.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": self.server, "certificate-authority": self.file("ca.crt")}}],
            "users": [{"name": user, "user": {
                "client-certificate": self.file(&format!("{user}.crt")), "client-key": self.file(&format!("{user}.key")),
            }}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": "default"}}],
            "current-context": "lab",
        });
        self.write(&format!("{user}.kubeconfig"), &format!("{config:#}\n"))
    }

    /// A certificate and its key. One that has names is a server's, else a client's.
    fn sign(&self, file: &str, common_name: &str, group: Option<&str>, names: Vec<SanType>) -> anyhow::Result<()> {
        let authority_key = fs::read_to_string(self.file("ca.key")).context("the authority's key cannot be read")?;
        let issuer = Issuer::new(authority(), KeyPair::from_pem(&authority_key)?);
        let mut certificate = CertificateParams::default();
        certificate.distinguished_name = distinguished(common_name, group);
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let is_server = !names.is_empty();
        let usage = if is_server { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
        certificate.extended_key_usages = vec![usage];
        certificate.subject_alt_names = names;
        certificate.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let signed = certificate.signed_by(&key, &issuer)?;
        self.write(&format!("pki/{file}.key"), &key.serialize_pem())?;
        self.write(&format!("pki/{file}.crt"), &signed.pem())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        let written =
            fs::write(&path, text).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What the authority's certificate says; with its key, this is all that is needed to sign.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished("lab-authority", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn distinguished(common_name: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, common_name);
    name
}

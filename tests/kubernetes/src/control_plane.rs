//! How the processes of the control plane are called.

use std::{path::Path, process::Command, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Toolchain, credentials::Credentials, toolchain::Tool};

/// Ports of loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub api: u16,
    pub etcd: u16,
    pub etcd_peers: u16,
}

/// How often clients of the control plane may call: no node of a test is to wait for its turn.
const CALLS_PER_SECOND: [&str; 2] = ["--kube-api-qps=1000", "--kube-api-burst=2000"];

/// How long a pod stays on a node that is lost.
const TOLERATION_SECONDS: u32 = 2;

/// All commands, made from the same facts.
#[derive(Debug)]
pub struct ControlPlane<'a> {
    pub toolchain: &'a Toolchain,
    pub directory: &'a Path,
    pub credentials: &'a Credentials,
    pub ports: Ports,
    pub node_grace: Duration,
}

impl ControlPlane<'_> {
    /// The store. It does not wait for the disk: a cluster that outlives its machine is of no use.
    pub fn etcd(&self) -> Command {
        let (clients, peers) = (address(self.ports.etcd), address(self.ports.etcd_peers));
        let mut command = self.toolchain.command(Tool::Etcd);
        command
            .args(["--name=lab", "--unsafe-no-fsync", "--log-level=warn"])
            .arg(format!("--data-dir={}", self.directory.join("etcd").display()))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .arg(format!("--initial-cluster=lab={peers}"));
        command
    }

    /// The API server.
    pub fn api_server(&self) -> Command {
        let file = |option: &str, name: &str| format!("--{option}={}", self.credentials.file(name).display());
        let mut command = self.toolchain.command(Tool::ApiServer);
        command
            .arg(format!("--etcd-servers={}", address(self.ports.etcd)))
            .arg(format!("--secure-port={}", self.ports.api))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .args(["--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true", "--profiling=false"])
            .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
            .arg(file("tls-cert-file", "api-server.crt"))
            .arg(file("tls-private-key-file", "api-server.key"))
            .arg(file("client-ca-file", "ca.crt"))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(file("service-account-key-file", "service-accounts.pub"))
            .arg(file("service-account-signing-key-file", "service-accounts.key"))
            .arg(file("requestheader-client-ca-file", "ca.crt"))
            .args([
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-username-headers=X-Remote-User",
            ])
            .args([
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            ])
            .arg(file("proxy-client-cert-file", "front-proxy.crt"))
            .arg(file("proxy-client-key-file", "front-proxy.key"))
            .arg(file("kubelet-client-certificate", "kubelet-client.crt"))
            .arg(file("kubelet-client-key", "kubelet-client.key"))
            .arg(file("kubelet-certificate-authority", "ca.crt"))
            .arg("--kubelet-preferred-address-types=InternalIP")
            .arg(format!("--default-not-ready-toleration-seconds={TOLERATION_SECONDS}"))
            .arg(format!("--default-unreachable-toleration-seconds={TOLERATION_SECONDS}"));
        command
    }

    /// The controllers.
    pub fn controller_manager(&self) -> Command {
        let mut command = self.toolchain.command(Tool::ControllerManager);
        self.client(&mut command, "controller-manager");
        let file = |option: &str, name: &str| format!("--{option}={}", self.credentials.file(name).display());
        command
            .args(["--use-service-account-credentials=true", "--allocate-node-cidrs=false", "--cluster-name=lab"])
            .arg(file("service-account-private-key-file", "service-accounts.key"))
            .arg(file("root-ca-file", "ca.crt"))
            .arg(file("cluster-signing-cert-file", "ca.crt"))
            .arg(file("cluster-signing-key-file", "ca.key"))
            // A lost node is lost at once, not at its turn: without this, one in ten seconds.
            .args(["--node-eviction-rate=100", "--secondary-node-eviction-rate=100", "--node-monitor-period=1s"])
            .arg(format!("--node-monitor-grace-period={}s", self.node_grace.as_secs()));
        command
    }

    /// The scheduler.
    pub fn scheduler(&self) -> Command {
        let mut command = self.toolchain.command(Tool::Scheduler);
        self.client(&mut command, "scheduler");
        command
    }

    /// What the two have in common. They serve nothing, so they need no port, and have no rival to elect a leader with.
    fn client(&self, command: &mut Command, user: &str) {
        let kubeconfig = self.credentials.kubeconfig(user);
        for option in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            command.arg(format!("--{option}={}", kubeconfig.display()));
        }
        command.args(["--secure-port=0", "--leader-elect=false"]).args(CALLS_PER_SECOND);
    }
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

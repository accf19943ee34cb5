//! A node in name only: every pod that it is given runs at once, and is gone when it shall.

use std::io::Write;

use anyhow::{Context, ensure};
use flott_kubernetes_lab::Cluster;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

const NAME: &str = "hollow";

/// Says that there is such a node, with room for all.
pub fn register(cluster: &Cluster) -> anyhow::Result<()> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}});
    let mut kubectl = cluster.kubectl();
    let mut creates = kubectl.args(["create", "-f", "-"]).stdin(std::process::Stdio::piped()).spawn()?;
    creates.stdin.take().context("no input")?.write_all(node.to_string().as_bytes())?;
    ensure!(creates.wait()?.success(), "no node was made");
    let room = json!({"cpu": "100000", "memory": "100000Gi", "pods": "100000"});
    let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "played"}]);
    let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": ready}}).to_string();
    let patched = cluster.kubectl().args(["patch", "node", NAME, "--subresource=status", "-p", &status]).status()?;
    ensure!(patched.success(), "the node has no room");
    Ok(())
}

/// Plays it until killed.
pub async fn play(kubeconfig: &str) -> anyhow::Result<()> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let config = watcher::Config::default().fields(&format!("spec.nodeName={NAME}"));
    let seen = watcher(pods.clone(), config).default_backoff().applied_objects();
    seen.map_err(anyhow::Error::from)
        .try_for_each_concurrent(64, |pod| async {
            let pod = pod;
            let name = pod.name_any();
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
            if pod.metadata.deletion_timestamp.is_some() {
                let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
                // Seen twice, it is gone the second time.
                let _ = pods.delete(&name, &now).await;
            } else if phase == "Pending" {
                let state = json!([{"name": "flott", "ready": true, "started": true, "image": "x", "imageID": "", "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]);
                let status = json!({"status": {"phase": "Running", "containerStatuses": state}});
                let _ = pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
            }
            Ok(())
        })
        .await
}

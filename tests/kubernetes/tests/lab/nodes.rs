use std::time::Duration;

use flott_kubernetes_lab::options::NodeOptions;

use super::support::{Namespace, eventually, is_isolated, options, own, run, running};

#[test]
fn pods_of_a_crashed_node_run_again_elsewhere() {
    let Some(cluster) = own("pods_of_a_crashed_node_run_again_elsewhere", quick(2)) else { return };
    let here = Namespace::new(&cluster, "crashed");
    here.create(&deployment("crashed"));
    let first = node_of_running(&here, "");
    let processes = || running("lab-pod serve 8000 crashed");
    eventually("the container's process", || if processes().is_empty() { Err("none".to_owned()) } else { Ok(()) });
    cluster.crash_node(&first).unwrap();
    eventually("its death", || if processes().is_empty() { Ok(()) } else { Err(format!("{:#?}", processes())) });
    node_of_running(&here, &first);
    // The API server has heard of no end: the first pod is only marked.
    let marked = here.kubectl(&["get", "pods", "-o", "jsonpath={..deletionTimestamp}"]);
    assert!(!marked.is_empty());
    assert_eq!(ready(&here, &first), "Unknown");
    cluster.add_node(&first, &NodeOptions::default()).unwrap();
    until_one_pod_is_left(&here);
}

#[test]
fn a_node_that_was_cut_off_comes_back_and_ends_its_pods() {
    let Some(cluster) = own("a_node_that_was_cut_off_comes_back_and_ends_its_pods", quick(2)) else { return };
    let here = Namespace::new(&cluster, "cut-off");
    here.create(&deployment("cut-off"));
    let first = node_of_running(&here, "");
    cluster.cut_off_node(&first).unwrap();
    node_of_running(&here, &first);
    cluster.reconnect_node(&first).unwrap();
    eventually("the node to be ready", || {
        let ready = ready(&here, &first);
        if ready == "True" { Ok(()) } else { Err(ready) }
    });
    until_one_pod_is_left(&here);
}

/// The one that was lost with its node is not forgotten before the node says that it has ended.
#[track_caller]
fn until_one_pod_is_left(here: &Namespace) {
    eventually("the old pod to be gone", || {
        let pods = here.kubectl(&["get", "pods", "-o", "name"]);
        if pods.lines().count() == 1 { Ok(()) } else { Err(pods) }
    });
}

#[test]
fn pods_of_a_node_that_is_cut_off_hear_nothing() {
    let test = "pods_of_a_node_that_is_cut_off_hear_nothing";
    let Some(cluster) = own(test, quick(2)) else { return };
    if !is_isolated(&cluster, test) {
        return;
    }
    let here = Namespace::new(&cluster, "unheard");
    here.create(&pinned("server", "node-0", "serve 8000 hello"));
    let address = here.until_phase("server", "Running")["status"]["podIP"].as_str().unwrap().to_owned();
    let get = format!("/usr/local/bin/lab-pod get {address}:8000");
    here.create(&pinned("before", "node-1", &format!("until {get}; do sleep 0.1; done")));
    here.until_phase("before", "Succeeded");
    cluster.cut_off_node("node-0").unwrap();
    here.create(&pinned("after", "node-1", &format!("timeout 1 {get}; [ $? = 124 ]")));
    here.until_phase("after", "Succeeded");
    cluster.reconnect_node("node-0").unwrap();
    here.create(&pinned("again", "node-1", &format!("until timeout 1 {get}; do sleep 0.1; done")));
    here.until_phase("again", "Succeeded");
}

#[test]
fn clients_go_on_when_the_api_server_has_been_away() {
    let Some(cluster) = own("clients_go_on_when_the_api_server_has_been_away", options(1)) else { return };
    let here = Namespace::new(&cluster, "away");
    cluster.stop_api_server().unwrap();
    cluster.start_api_server().unwrap();
    here.pod("server", &["serve", "8000", "hello"], "");
    here.until_phase("server", "Running");
}

/// One server, which is started elsewhere when its node is lost.
fn deployment(text: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: server}}, spec: {{replicas: 1, \
         selector: {{matchLabels: {{app: server}}}}, template: {{metadata: {{labels: {{app: server}}}}, spec: \
         {{containers: [{{name: main, image: 'lab-pod:dev', args: [serve, '8000', {text}]}}]}}}}}}}}"
    )
}

/// A pod on a node, which runs a line of shell, and stays whatever becomes of the node.
fn pinned(name: &str, node: &str, line: &str) -> String {
    let line = if line.starts_with("serve") { format!("exec /usr/local/bin/lab-pod {line}") } else { line.to_owned() };
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, nodeName: {node}, \
         tolerations: [{{operator: Exists}}], containers: \
         [{{name: main, image: 'lab-pod:dev', command: [/bin/sh, -c, '{line}']}}]}}}}"
    )
}

/// Nodes that are soon missed.
fn quick(nodes: u32) -> flott_kubernetes_lab::Options {
    flott_kubernetes_lab::Options { node_grace: Duration::from_secs(5), ..options(nodes) }
}

/// Waits until a pod that nobody ends runs on a node that is not `not`; gives the node.
#[track_caller]
fn node_of_running(here: &Namespace, not: &str) -> String {
    eventually("a running pod", || {
        let pods: serde_json::Value = serde_json::from_str(&here.kubectl(&["get", "pods", "-o", "json"])).unwrap();
        let lives = |pod: &&serde_json::Value| {
            pod["status"]["phase"] == "Running"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["spec"]["nodeName"] != not
        };
        let pod = pods["items"].as_array().unwrap().iter().find(lives);
        pod.map(|pod| pod["spec"]["nodeName"].as_str().unwrap().to_owned()).ok_or_else(|| format!("{pods:#}"))
    })
}

fn ready(here: &Namespace, node: &str) -> String {
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    run(here.cluster.kubectl().args(["get", "node", node, "-o", ready]))
}

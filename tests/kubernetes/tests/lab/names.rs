use super::support::{Namespace, is_isolated, shared};

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: greeter}, \
                       spec: {clusterIP: None, selector: {app: server}, ports: [{port: 8000}]}}";

#[test]
fn a_service_is_found_by_name_from_its_namespace_and_others() {
    let test = "a_service_is_found_by_name_from_its_namespace_and_others";
    let Some(cluster) = shared(test) else { return };
    if !is_isolated(&cluster, test) {
        return;
    }
    let (here, elsewhere) = (Namespace::new(&cluster, "named"), Namespace::new(&cluster, "elsewhere"));
    here.create(SERVICE);
    let probe = ", readinessProbe: {httpGet: {port: 8000}, periodSeconds: 1}";
    here.pod("server", &["serve", "8000", "hello"], probe);
    here.kubectl(&["wait", "pod/server", "--for=condition=Ready", "--timeout=60s"]);
    for (namespace, name) in [
        (&here, "greeter"),
        (&here, "greeter.named"),
        (&elsewhere, "greeter.named.svc"),
        (&elsewhere, "greeter.named.svc.cluster.local"),
    ] {
        let pod = format!("client-{}", name.replace('.', "-"));
        // The name may come a moment after the pod.
        let retry = format!("until /usr/local/bin/lab-pod get {name}:8000; do sleep 0.1; done");
        let command = format!(", command: [/bin/sh, -c, '{retry}']");
        namespace.pod(&pod, &[], &command);
        namespace.until_phase(&pod, "Succeeded");
        assert!(namespace.kubectl(&["logs", &pod]).ends_with("hello"));
    }
}

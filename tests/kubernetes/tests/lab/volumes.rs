use super::support::{Namespace, shared};

const CLAIM: &str = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: claim}, \
                     spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";

#[test]
fn what_is_written_to_a_claim_outlives_its_pod() {
    let Some(cluster) = shared("what_is_written_to_a_claim_outlives_its_pod") else { return };
    let here = Namespace::new(&cluster, "claims");
    here.create(CLAIM);
    for (name, line) in [("writer", "echo kept > /data/file"), ("reader", "cat /data/file")] {
        here.create(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, \
             securityContext: {{runAsUser: 1000}}, containers: \
             [{{name: main, image: busybox, args: [-c, '{line}'], volumeMounts: [{{name: data, mountPath: /data}}]}}], \
             volumes: [{{name: data, persistentVolumeClaim: {{claimName: claim}}}}]}}}}"
        ));
        here.until_phase(name, "Succeeded");
    }
    assert_eq!(here.kubectl(&["logs", "reader"]), "kept");
}

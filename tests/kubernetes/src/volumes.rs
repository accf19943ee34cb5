//! Volumes for claims: nobody provisions any, so some are there from the start.

use std::path::Path;

use serde_json::{Value, json};

/// How many claims a cluster can have in its life: a volume is not used again.
const COUNT: u32 = 16;

/// The storage class, which claims get that name none.
const CLASS: &str = "standard";

/// All objects, with the files below a cluster's directory.
pub fn all(directory: &Path) -> Value {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
    });
    let volume = |number| {
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": format!("volume-{number}")},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "storageClassName": CLASS,
                "hostPath": {"path": directory.join("volumes").join(format!("{number}"))},
            },
        })
    };
    let items: Vec<_> = std::iter::once(class).chain((0..COUNT).map(volume)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

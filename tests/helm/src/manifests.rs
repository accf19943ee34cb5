//! Rendered documents, and what is asked of them.

use serde_json::Value;

use crate::golden::documents;

/// All that was rendered.
#[derive(Debug, Clone)]
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// Those of a YAML text.
    #[track_caller]
    pub fn of(text: &str) -> Self {
        Self(documents(text))
    }

    /// All of them.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// Those of a kind.
    pub fn kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|document| document["kind"] == kind).collect()
    }

    /// The one of a kind with a name.
    #[track_caller]
    pub fn named(&self, kind: &str, name: &str) -> &Value {
        let found = self.find(kind, name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name} in {:?}", self.names()))
    }

    /// The one of a kind with a name, if it is there.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.0.iter().find(|document| document["kind"] == kind && document["metadata"]["name"] == name)
    }

    /// `Kind/name` of all.
    pub fn names(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.0.iter().map(|one| format!("{}/{}", text(&one["kind"]), text(&one["metadata"]["name"]))).collect()
    }

    /// Every pod there is, with the name of what makes it: pods, templates of Deployments and Jobs, and the template of native
    /// workers, whose pod is one in a ConfigMap.
    pub fn pods(&self) -> Vec<(String, Value)> {
        let names = self.names();
        let mut pods = Vec::new();
        for (document, name) in self.0.iter().zip(names) {
            match document["kind"].as_str() {
                Some("Pod") => pods.push((name, document.clone())),
                Some("Deployment" | "Job") => pods.push((name, document["spec"]["template"].clone())),
                Some("ConfigMap") => {
                    let template = document["data"]["taskmanager-pod-template.yaml"].as_str();
                    pods.extend(
                        template.into_iter().flat_map(documents).map(|pod| (format!("{name} (template)"), pod)),
                    );
                }
                _ => {}
            }
        }
        pods
    }
}

/// The members of a list that may be absent.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

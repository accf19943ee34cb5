//! The real `helm`.
//!
//! It is `FLOTT_HELM`, else the one of the toolchain for tests on Kubernetes, else that of `PATH`.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use flott_kubernetes_lab::{
    skipped,
    toolchain::{Tool, Toolchain},
};

use crate::{manifests::Manifests, workspace};

/// Names the binary.
const BINARY: &str = "FLOTT_HELM";
/// What the chart is rendered for. A client alone knows no cluster to ask.
const KUBERNETES: &str = "1.36.0";

/// The chart, from the root of the working tree.
pub const CHART: &str = "helm/flott";
/// The release that is rendered, and its namespace.
pub const RELEASE: &str = "demo";
/// Its namespace.
pub const NAMESPACE: &str = "apps";

/// `helm`, and what is said of a chart with it.
#[derive(Debug, Clone)]
pub struct Helm {
    binary: PathBuf,
}

/// Finds `helm`; where there is none, says that `test` is skipped.
pub fn or_skipped(test: &str) -> Option<Helm> {
    let found = found();
    if found.is_none() {
        let how = "build it by `cargo xtask kubernetes build`, or set FLOTT_HELM to its path";
        skipped::aloud(test, &format!("helm is not there; {how}"));
    }
    found.map(|binary| Helm { binary })
}

fn found() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{BINARY} names {}, which is no file", named.display());
        return Some(named);
    }
    if let Ok(toolchain) = Toolchain::find() {
        return Some(toolchain.path(Tool::Helm));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("helm")).find(|binary| binary.is_file())
}

impl Helm {
    /// Runs `helm arguments…` in the root of the working tree.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(&self.binary).args(arguments).current_dir(workspace::path("")).output();
        output.unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.binary.display()))
    }

    /// What `helm template` renders with `arguments`.
    ///
    /// # Errors
    /// What it says instead.
    #[track_caller]
    pub fn template(&self, arguments: &[&str]) -> Result<String, String> {
        self.template_as(RELEASE, NAMESPACE, arguments)
    }

    /// The same, as another release.
    ///
    /// # Errors
    /// What it says instead.
    #[track_caller]
    pub fn template_as(&self, release: &str, namespace: &str, arguments: &[&str]) -> Result<String, String> {
        let line = ["template", release, CHART, "--namespace", namespace, "--kube-version", KUBERNETES];
        let output = self.run(&[&line, arguments].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(out.into_owned()) } else { Err(err.into_owned()) }
    }

    /// What is rendered with a file of values and `settings`, each `key=value`.
    #[track_caller]
    pub fn render(&self, values: &str, settings: &[&str]) -> Manifests {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<_> = ["--values", values].into_iter().chain(settings).collect();
        let rendered = self.template(&arguments);
        Manifests::of(&rendered.unwrap_or_else(|error| panic!("{values} {arguments:?}: {error}")))
    }

    /// Wants `settings` to be refused, with a message that says all of `words`.
    #[track_caller]
    pub fn refuses(&self, settings: &[&str], words: &[&str]) {
        let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        match self.template(&settings) {
            Ok(_) => panic!("{settings:?} is not refused"),
            Err(error) => {
                for word in words {
                    assert!(error.contains(word), "{settings:?}: {word:?} is not said in {error}");
                }
            }
        }
    }
}

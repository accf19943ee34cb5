//! The effective configuration of a command: the file, then the environment, then `-D`, each over the one before.

use std::path::{Path, PathBuf};

use anyhow::Context;
use flott_core::config::{Configuration, Loader, environment};

use crate::arguments::Arguments;

/// Configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything.
    pub config: Configuration,
    /// What the user gave outside the file (`-D`, environment): what a submission carries to a cluster that has a
    /// file of its own.
    pub given: Configuration,
}

impl Settings {
    /// Loads what `arguments` and the environment say; warnings go to standard error, a line each.
    pub fn load(arguments: &Arguments) -> anyhow::Result<Self> {
        Self::load_with(arguments, &[])
    }

    /// As [`load`](Self::load), with `more` settings, which options such as `-p` stand for; they are stronger than `-D`,
    /// as in Flink.
    pub fn load_with(arguments: &Arguments, more: &[String]) -> anyhow::Result<Self> {
        let mut loader = Loader::new();
        let file = match &arguments.config {
            Some(path) => Some(path.clone()),
            None => default_file(),
        };
        if let Some(path) = file {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
            loader = loader.file(&path.display().to_string(), &text);
        }
        let variables =
            || std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let given = |loader: Loader| loader.environment(variables()).overrides(&arguments.define).overrides(more);
        let loaded = given(loader).load()?;
        for warning in &loaded.warnings {
            eprintln!("flott: warning: {warning}");
        }
        Ok(Self { config: loaded.config, given: given(Loader::new()).load()?.config })
    }
}

/// `config.yaml` in `FLOTT_CONF_DIR`, which must be there when the variable is set, else in the user's configuration
/// directory, if it is there.
fn default_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = set(environment::CONF_DIR) {
        return Some(dir.join("config.yaml"));
    }
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("flott/config.yaml")).filter(|path| path.is_file())
}

/// Writes a configuration for daemons to read. Readable by this user alone: it may hold a token.
pub fn write(config: &Configuration, path: &Path) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut text = String::from("# The effective configuration of this cluster; written when it was started.\n");
    for (key, value) in config.entries() {
        // JSON strings are YAML strings, whatever is in them.
        text.push_str(&format!("{}: {}\n", serde_json::to_string(key)?, serde_json::to_string(value)?));
    }
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

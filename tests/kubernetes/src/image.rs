//! What containers are made of. There is no registry: an image is the machine's own root file system with files put into it.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// An image, under a reference that pods name it by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What runs where a container gives no command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Its arguments where a container gives none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Variables of its containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files and directories of this machine, by where they are in its containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PathBuf>,
    /// The user that its containers run as where their pods say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// How long the first container of a pod waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_seconds: Option<u32>,
    /// What goes wrong when it is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
}

/// What goes wrong when an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// There is none of this name.
    Missing,
    /// Pods without a pull secret are refused.
    Private,
    /// The registry does not answer.
    Unreachable,
}

impl Image {
    /// One whose entry point is this executable, which is found in its containers by its name.
    pub fn of_executable(path: PathBuf) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let files = BTreeMap::from([(format!("/usr/local/bin/{name}"), path)]);
        Self { entrypoint: vec![name], files, ..Self::default() }
    }
}

/// Images that every cluster has, by reference or pattern (`*`), besides those that it is given.
pub fn common() -> BTreeMap<String, Image> {
    let shell = Image { entrypoint: vec!["/bin/sh".to_owned()], ..Image::default() };
    let pull = |pull| Image { pull: Some(pull), ..shell.clone() };
    BTreeMap::from([
        ("busybox*".to_owned(), shell.clone()),
        ("lab/slow*".to_owned(), Image { pull_seconds: Some(5), ..shell.clone() }),
        ("lab/missing*".to_owned(), pull(Pull::Missing)),
        ("lab/private*".to_owned(), pull(Pull::Private)),
        ("lab/unreachable*".to_owned(), pull(Pull::Unreachable)),
    ])
}

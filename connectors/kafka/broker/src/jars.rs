//! The broker's jars.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

/// The version of Kafka.
pub const VERSION: &str = "4.4.0";

/// Artifacts, by Maven coordinates; what they need comes with them. The second has the broker's log written.
const ARTIFACTS: &[(&str, &str, &str)] =
    &[("org.apache.kafka", "kafka_2.13", VERSION), ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5")];

/// Where the jars are kept.
///
/// # Errors
/// Without a home directory.
pub fn directory() -> anyhow::Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute()) {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(&env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache"),
    };
    Ok(cache.join("flott/kafka").join(VERSION))
}

/// The directory of the jars, if they are there.
pub fn cached() -> Option<PathBuf> {
    directory().ok().filter(|directory| directory.is_dir())
}

/// The directory of the jars; Maven fetches them if they are not there.
///
/// # Errors
/// Without Maven, or when it cannot fetch them.
pub fn fetch() -> anyhow::Result<PathBuf> {
    let directory = directory()?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let parent = directory.parent().context("the directory of jars has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // Beside where they are to be, and moved there when all are: who finds the directory finds all of them.
    let staged = tempfile::Builder::new().prefix(".fetching-").tempdir_in(parent)?;
    let pom = staged.path().join("pom.xml");
    fs::write(&pom, pom_of(ARTIFACTS))?;
    let jars = staged.path().join("jars");
    let status = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot run mvn, which fetches the jars of Kafka")?;
    ensure!(status.success(), "mvn could not fetch the jars of Kafka {VERSION}: {status}");
    match fs::rename(&jars, &directory) {
        Ok(()) => Ok(directory),
        // Somebody else was faster.
        Err(_) if directory.is_dir() => Ok(directory),
        Err(error) => bail!("cannot put the jars into {}: {error}", directory.display()),
    }
}

fn pom_of(artifacts: &[(&str, &str, &str)]) -> String {
    let dependencies: String = artifacts
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\
                 </dependency>"
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>flott</groupId>\
         <artifactId>kafka</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
}

//! What a job is started from: the options `-s`, `-n` and `--claimMode`.

use std::path::Path;

use anyhow::{Context, bail};
use flott_core::config::keys::checkpointing;

use crate::{arguments::Restore, operation};

/// The name of manifests.
const METADATA: &str = "_metadata";

impl Restore {
    /// The options as settings of the job.
    pub fn settings(&self) -> anyhow::Result<Vec<(String, String)>> {
        let path = self.from_savepoint.as_deref().map(operation::absolute).transpose()?;
        let path = path.map(|path| (checkpointing::RECOVERY_PATH.key().to_owned(), path));
        let ignore = self
            .allow_non_restored_state
            .then(|| (checkpointing::IGNORE_UNCLAIMED.key().to_owned(), "true".to_owned()));
        let claim = self.claim_mode.clone().map(|mode| (checkpointing::CLAIM_MODE.key().to_owned(), mode));
        Ok(path.into_iter().chain(ignore).chain(claim).collect())
    }

    /// Whether the snapshot is there, if it is on this machine.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(given) = &self.from_savepoint else { return Ok(()) };
        let path = match given.split_once("://") {
            Some(("file", path)) => path,
            Some(_) => return Ok(()),
            None => given,
        };
        let path = Path::new(path);
        let manifest = if path.ends_with(METADATA) { path.to_owned() } else { path.join(METADATA) };
        match std::fs::metadata(&manifest) {
            Ok(found) if found.is_file() => Ok(()),
            Err(error) if !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Err(error).with_context(|| format!("{} cannot be read", manifest.display()))
            }
            Ok(_) | Err(_) => bail!("{given}: no checkpoint or savepoint there (it has no file {METADATA})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore(path: &str) -> Restore {
        Restore { from_savepoint: Some(path.to_owned()), ..Restore::default() }
    }

    #[test]
    fn a_snapshot_of_this_machine_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let missing = restore(path).check().unwrap_err().to_string();
        assert!(missing.starts_with(path) && missing.contains("no checkpoint or savepoint there"), "{missing}");
        std::fs::write(dir.path().join(METADATA), "").unwrap();
        for given in [path.to_owned(), format!("{path}/"), format!("file://{path}"), format!("{path}/{METADATA}")] {
            restore(&given).check().unwrap();
        }
        restore(&format!("{path}/{METADATA}/more")).check().unwrap_err();
        restore("s3://bucket/savepoint").check().unwrap();
    }

    #[test]
    fn options_are_settings_of_the_job() {
        let all = Restore {
            from_savepoint: Some("/a".to_owned()),
            allow_non_restored_state: true,
            claim_mode: Some("no_claim".to_owned()),
        };
        let expected = [
            ("execution.state-recovery.path", "/a"),
            ("execution.state-recovery.ignore-unclaimed-state", "true"),
            ("execution.state-recovery.claim-mode", "no_claim"),
        ];
        assert_eq!(all.settings().unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(Restore::default().settings().unwrap(), []);
    }
}

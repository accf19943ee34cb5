//! The clean environment of a job process.
//!
//! | variable | from |
//! |---|---|
//! | those in [`INHERITED`] | the TaskManager's own environment, where set |
//! | those in [`OF_AWS`], with which a job reaches the store of its checkpoints | the same |
//! | the mark of the TaskManager | the backend that started it |
//! | `TMPDIR` | the process's own directory, which goes with it |
//! | what is set as `containerized.taskmanager.env.<NAME>` | the job's configuration |
//! | the host mode variables of `flott_core::message::environment` | this TaskManager |
//!
//! Later lines win.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use flott_core::message::{HOST_PROTOCOL, JobSetup, environment};

const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "RUST_BACKTRACE", "RUST_LOG"];
const OF_AWS: [&str; 15] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ALLOW_HTTP",
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];
const CONFIGURED_PREFIX: &str = "containerized.taskmanager.env.";
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// All variables of a job process that works in `directory`.
pub(super) fn environment(
    setup: &JobSetup,
    directory: &Path,
    socket: &Path,
    setup_file: &Path,
    own: impl Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    variables.insert("PATH".into(), PATH_DEFAULT.into());
    for name in INHERITED.into_iter().chain(OF_AWS).chain([environment::WORKER_MARK]) {
        if let Some(value) = own(name) {
            variables.insert(name.into(), value);
        }
    }
    variables.insert("TMPDIR".into(), directory.into());
    for (key, value) in &setup.configuration {
        if let Some(name) = key.strip_prefix(CONFIGURED_PREFIX)
            && is_name(name)
            && !value.contains('\0')
        {
            variables.insert(name.into(), value.into());
        }
    }
    variables.insert(environment::MODE.into(), "host".into());
    variables.insert(environment::HOST_SOCKET.into(), socket.into());
    variables.insert(environment::HOST_SETUP.into(), setup_file.into());
    variables.insert(environment::HOST_PROTOCOL.into(), HOST_PROTOCOL.to_string().into());
    variables.into_iter().collect()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::test_setup;

    #[test]
    fn nothing_but_the_list_gets_through() {
        let mut setup = test_setup(1);
        setup.configuration.insert("containerized.taskmanager.env.LEVEL".into(), "9".into());
        setup.configuration.insert("containerized.taskmanager.env.FLOTT_MODE".into(), "run".into());
        setup.configuration.insert("containerized.taskmanager.env.A=B".into(), "x".into());
        let is_set = |name: &str| name != "LC_ALL" && (!name.starts_with("AWS_") || name == "AWS_REGION");
        let own = |name: &str| is_set(name).then(|| OsString::from(format!("own {name}")));
        let variables = environment(&setup, "/d".as_ref(), "/d/s".as_ref(), "/d/f".as_ref(), own);
        let text: Vec<String> =
            variables.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(
            text,
            [
                "AWS_REGION=own AWS_REGION",
                "FLOTT_HOST_PROTOCOL=1",
                "FLOTT_HOST_SETUP=/d/f",
                "FLOTT_HOST_SOCKET=/d/s",
                "FLOTT_MODE=host",
                "FLOTT_WORKER_MARK=own FLOTT_WORKER_MARK",
                "HOME=own HOME",
                "LANG=own LANG",
                "LEVEL=9",
                "PATH=own PATH",
                "RUST_BACKTRACE=own RUST_BACKTRACE",
                "RUST_LOG=own RUST_LOG",
                "TMPDIR=/d",
                "TZ=own TZ",
                "USER=own USER",
            ]
        );
    }
}

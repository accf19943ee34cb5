//! The clean environment of a job process.
//!
//! | variable | from |
//! |---|---|
//! | those in [`INHERITED`] | the TaskManager's own environment, where set |
//! | those in [`OF_AWS`], with which a job reaches the store of its checkpoints | the same |
//! | those that [`ProgramVariables::passed`] names | the same: whoever runs the TaskManager has them set for programs |
//! | the mark of the TaskManager | the backend that started it |
//! | `TMPDIR` | the process's own directory, which goes with it |
//! | what is set as `containerized.taskmanager.env.<NAME>` | the TaskManager's configuration ([`ProgramVariables::set`]) |
//! | the same | the job's configuration |
//! | the host mode variables of `flott_core::message::environment` | this TaskManager |
//!
//! Later lines win. Names that begin with [`RESERVED`] are Flott's own, secrets among them, and are neither passed nor set.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use flott_core::{
    config::keys::taskmanager::PROGRAM_ENV,
    message::{HOST_PROTOCOL, JobSetup, environment},
};

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
const RESERVED: &str = "FLOTT_";
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// What programs see of the environment beyond what all job processes have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramVariables {
    /// Names of the TaskManager's own variables that are meant for programs too. Those of Flott are left out.
    pub passed: Vec<String>,
    /// Variables by name, in place of the TaskManager's own. Those of Flott are left out.
    pub set: BTreeMap<String, String>,
}

/// All variables of a job process that works in `directory`.
pub(super) fn environment(
    setup: &JobSetup,
    programs: &ProgramVariables,
    directory: &Path,
    socket: &Path,
    setup_file: &Path,
    own: impl Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    variables.insert("PATH".into(), PATH_DEFAULT.into());
    let passed = programs.passed.iter().map(String::as_str).filter(|name| is_free(name));
    for name in INHERITED.into_iter().chain(OF_AWS).chain(passed).chain([environment::WORKER_MARK]) {
        if let Some(value) = own(name) {
            variables.insert(name.into(), value);
        }
    }
    variables.insert("TMPDIR".into(), directory.into());
    let of_job = setup.configuration.iter().filter_map(|(key, value)| Some((PROGRAM_ENV.entry_of(key)?, value)));
    let configured = programs.set.iter().map(|(name, value)| (name.as_str(), value)).chain(of_job);
    for (name, value) in configured.filter(|(name, value)| is_free(name) && !value.contains('\0')) {
        variables.insert(name.into(), value.into());
    }
    variables.insert(environment::MODE.into(), "host".into());
    variables.insert(environment::HOST_SOCKET.into(), socket.into());
    variables.insert(environment::HOST_SETUP.into(), setup_file.into());
    variables.insert(environment::HOST_PROTOCOL.into(), HOST_PROTOCOL.to_string().into());
    variables.into_iter().collect()
}

/// Whether a variable can have that name, and is none of Flott's.
fn is_free(name: &str) -> bool {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name && !name.starts_with(RESERVED)
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
        setup.configuration.insert("containerized.taskmanager.env.FLOTT_WORKER_MARK".into(), "none".into());
        setup.configuration.insert("containerized.taskmanager.env.A=B".into(), "x".into());
        let is_set = |name: &str| name != "LC_ALL" && (!name.starts_with("AWS_") || name == "AWS_REGION");
        let own = |name: &str| is_set(name).then(|| OsString::from(format!("own {name}")));
        let variables =
            environment(&setup, &ProgramVariables::default(), "/d".as_ref(), "/d/s".as_ref(), "/d/f".as_ref(), own);
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

    #[test]
    fn programs_see_what_is_meant_for_them_and_nothing_of_flotts() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let programs = ProgramVariables {
            passed: names(&["PASSWORD", "ABSENT", "TMPDIR", "FLOTT_TOKEN", "FLOTT_SECURITY__METRICS_TOKEN", "A=B"]),
            set: texts(&[("LEVEL", "9"), ("REGION", "north"), ("FLOTT_TOKEN", "x"), ("NUL", "a\0b"), ("", "x")]),
        };
        let mut setup = test_setup(1);
        setup.configuration.insert("containerized.taskmanager.env.REGION".into(), "south".into());
        let own = |name: &str| {
            let is_set = !INHERITED.contains(&name) && !OF_AWS.contains(&name) && name != "ABSENT";
            is_set.then(|| OsString::from(format!("own {name}")))
        };
        let variables = environment(&setup, &programs, "/d".as_ref(), "/d/s".as_ref(), "/d/f".as_ref(), own);
        let of_programs: Vec<_> = variables
            .iter()
            .filter(|(name, _)| name != "PATH" && !name.to_string_lossy().starts_with("FLOTT_HOST"))
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            of_programs,
            [
                ("FLOTT_MODE", "host"),
                ("FLOTT_WORKER_MARK", "own FLOTT_WORKER_MARK"),
                ("LEVEL", "9"),
                ("PASSWORD", "own PASSWORD"),
                // A job's own wins.
                ("REGION", "south"),
                ("TMPDIR", "/d"),
            ]
        );
    }
}

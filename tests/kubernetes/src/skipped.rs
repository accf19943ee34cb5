//! Tests that cannot run on this machine are told of, and counted, and never pass in silence.

use std::{fs::OpenOptions, io::Write};

use crate::Toolchain;

/// Names a file to which a line is added for each test that is skipped; `.ci/run` counts them.
const LIST: &str = "FLOTT_SKIPPED";

/// What a cluster needs besides: for its nodes, and (util-linux) for the lives of its processes.
const PROGRAMS: [&str; 3] = ["python3", "setpriv", "setsid"];

/// Says on standard error, past the capture of the test harness, that `test` is skipped, and why.
pub fn aloud(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os(LIST) {
        let listed = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&list)
            .and_then(|mut list| list.write_all(line.as_bytes()));
        assert!(listed.is_ok(), "{} cannot be written, and {test} would go uncounted", list.display());
    }
}

/// The toolchain; where there is none, or something else that clusters need is missing, says that `test` is skipped.
pub fn without_toolchain(test: &str) -> Option<Toolchain> {
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !is_on_path(program)).collect();
    if !missing.is_empty() {
        aloud(test, &format!("{} not on PATH", missing.join(", ")));
        return None;
    }
    match Toolchain::find() {
        Ok(toolchain) => Some(toolchain),
        Err(error) => {
            aloud(test, &format!("{error:#}"));
            None
        }
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

//! Tests that cannot run on this machine are told of, and counted.

use std::{fs::OpenOptions, io::Write};

/// Names a file to which a line is added for what is skipped; `.ci/verdict` counts them.
const LIST: &str = "FLOTT_SKIPPED";

/// Says `line` on standard error, past the capture of the test harness, and has it counted.
pub fn aloud(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os(LIST) {
        let listed = OpenOptions::new().create(true).append(true).open(&list);
        let listed = listed.and_then(|mut list| list.write_all(line.as_bytes()));
        assert!(listed.is_ok(), "{} cannot be written, and this would go uncounted: {line}", list.display());
    }
}

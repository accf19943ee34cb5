//! Commands of tests.

use std::process::Command;

/// Runs a command, which has to succeed; what it prints.
///
/// # Panics
/// With the command and what it says, when it fails.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    output(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command: what it prints, or what it says of its failure.
///
/// # Errors
/// The text on its standard error, or why it cannot be started.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

//! The date that processes of a sandbox are told.

use std::{fs, path::PathBuf};

use flott_kubernetes_lab::skipped;

use crate::sandbox::Sandbox;

/// The package of this name has it.
const LIBRARY: &str = "faketime/libfaketime.so.1";
/// Where libraries are.
const PLACES: [&str; 4] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/// A date that can be set for all processes of a sandbox. It leaves alone what counts the time that passes.
#[derive(Debug)]
pub struct Date(PathBuf);

impl Date {
    /// That of processes which `sandbox` starts from now on: the right one, until it is set. Without libfaketime, says on standard
    /// error, past the capture of the test harness, that `what_for` is skipped.
    ///
    /// # Panics
    /// When the sandbox cannot be written to.
    pub fn of(sandbox: &mut Sandbox, what_for: &str) -> Option<Self> {
        let libraries = PLACES.iter().map(|place| format!("{place}/{LIBRARY}"));
        let Some(library) = libraries.into_iter().find(|library| fs::exists(library).unwrap_or(false)) else {
            skipped::aloud(what_for, "libfaketime is not installed");
            return None;
        };
        let file = sandbox.write("date", "+0");
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        variables.iter().for_each(|(name, value)| sandbox.set_variable(name, value));
        Some(Self(file.into()))
    }

    /// Sets it to `seconds` after the right one, or before it.
    ///
    /// # Panics
    /// When the sandbox cannot be written to.
    pub fn set(&self, seconds: i64) {
        // In one step: who reads it must not see half of it.
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{seconds:+}")).expect("the sandbox can be written to");
        fs::rename(&new, &self.0).expect("the sandbox can be written to");
    }
}

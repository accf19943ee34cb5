//! Environment variables: those that stand for keys, and Flott's own.
//!
//! The variable of a key is `FLOTT_` and the key in capitals, with `__` for `.` and `_` for `-`:
//! `FLOTT_REST__PORT` is `rest.port`. So a variable with `__` is a key, and one without is not.

use super::{
    error::{ConfigError, shortened},
    option::Declaration,
    registry::{declarations, find, nearest_of},
};

/// Directory of the configuration file, `config.yaml`.
pub const CONF_DIR: &str = "FLOTT_CONF_DIR";
/// Directory of everything that is kept: stores, blobs, logs, history. `--state-dir` is stronger.
pub const STATE_DIR: &str = "FLOTT_STATE_DIR";
/// Token that a client shows to a JobManager, and that a JobManager asks for; `security.token` is stronger.
pub const TOKEN: &str = "FLOTT_TOKEN";
/// What is logged, as `info` or `flott_dispatcher=debug,info`.
pub const LOG: &str = "FLOTT_LOG";

/// Variables that are not keys, with what they are for.
pub(super) const OWN: [(&str, &str); 4] = [
    (CONF_DIR, "Directory of the configuration file `config.yaml`."),
    (STATE_DIR, "Directory of everything that is kept: stores, blobs, logs, history. `--state-dir` is stronger."),
    (
        TOKEN,
        "Token that a client shows to a JobManager, and that a JobManager asks for; the key `security.token` is stronger.",
    ),
    (LOG, "What is logged, as `info` or `flott_dispatcher=debug,info`."),
];

const PREFIX: &str = "FLOTT_";

/// The environment variable that stands for a key.
pub fn variable_of(key: &str) -> String {
    let mut variable = PREFIX.to_owned();
    for c in key.chars() {
        match c {
            '.' => variable.push_str("__"),
            '-' => variable.push('_'),
            c => variable.extend(c.to_uppercase()),
        }
    }
    variable
}

/// Whether this is the name of a key that a variable stands for. Free keys have none.
pub fn is_key(key: &str) -> bool {
    find(key).is_some_and(|found| found.declaration.key == key)
}

/// The key that a variable stands for; `None` if it stands for none and is not meant to.
///
/// # Errors
/// For a variable that is meant as a key but is none.
pub(super) fn key_of(variable: &str) -> Result<Option<&'static Declaration>, ConfigError> {
    let Some(name) = variable.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    if let Some(found) = declarations().find(|declaration| variable_of(declaration.key) == variable) {
        return Ok(Some(found));
    }
    let unknown = |nearest| ConfigError::UnknownVariable { variable: shortened(variable), nearest };
    if name.contains("__") {
        return Err(unknown(nearest_of(variable, declarations().map(|declaration| variable_of(declaration.key)))));
    }
    // Single underscores all through: FLOTT_REST_PORT.
    let meant =
        declarations().map(|declaration| variable_of(declaration.key)).find(|v| v.replace("__", "_") == variable);
    match meant {
        Some(meant) => Err(unknown(Some(meant))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: &str, expected: Result<Option<&str>, &str>) {
        let got = key_of(variable).map(|found| found.map(|d| d.key)).map_err(|error| error.to_string());
        assert_eq!(got.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{variable}");
    }

    #[test]
    fn variables_stand_for_keys() {
        check("FLOTT_REST__PORT", Ok(Some("rest.port")));
        check("FLOTT_TASKMANAGER__NUMBEROFTASKSLOTS", Ok(Some("taskmanager.numberOfTaskSlots")));
        check("FLOTT_SLOTMANAGER__NUMBER_OF_SLOTS__MAX", Ok(Some("slotmanager.number-of-slots.max")));
        check("FLOTT_STATE_DIR", Ok(None));
        check("FLOTT_SOMETHING", Ok(None));
        check("PATH", Ok(None));
    }

    #[test]
    fn variables_meant_as_keys_are_not_passed_over() {
        let meant = r#" (did you mean "FLOTT_REST__PORT"?)"#;
        check("FLOTT_REST_PORT", Err(&format!("unknown environment variable FLOTT_REST_PORT{meant}")));
        check("FLOTT_REST__PROT", Err(&format!("unknown environment variable FLOTT_REST__PROT{meant}")));
        check("FLOTT_NO__SUCH__THING", Err("unknown environment variable FLOTT_NO__SUCH__THING"));
    }
}

//! How the end of a job process is told: whose fault it was, and the end of what it had to say.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use flott_core::{failure::Failure, message::EXIT_OTHER_PROTOCOL};
use nix::sys::signal::Signal;

/// Rust programs exit with this when `main` panics.
const PANIC_CODE: i32 = 101;
const LINES_MAX: usize = 12;
const LINE_CHARS_MAX: usize = 400;

/// The failure that is told when `program` ends and no one has asked for it.
pub(super) fn failure(program: &str, status: ExitStatus, last_words: &str) -> Failure {
    let failure = match (status.code(), status.signal()) {
        (Some(0), _) => Failure::user(format!("{program} ended with exit code 0 before its job was over"))
            .because("a program must reach execute() and leave ending to it"),
        (Some(EXIT_OTHER_PROTOCOL), _) => {
            Failure::user(format!("{program} was built with another version of Flott than this cluster's")).fatal()
        }
        (Some(PANIC_CODE), _) => Failure::user(format!("{program} panicked (exit code {PANIC_CODE})")),
        (Some(code), _) => Failure::user(format!("{program} ended with exit code {code}")),
        (None, Some(signal)) => by_signal(program, signal),
        (None, None) => Failure::internal(format!("{program} ended in an unknown way: {status}")),
    };
    let words = summary(last_words);
    if words.is_empty() { failure } else { failure.because(words) }
}

fn by_signal(program: &str, number: i32) -> Failure {
    let signal = Signal::try_from(number).ok();
    let name = signal.map_or_else(|| format!("signal {number}"), |signal| signal.as_str().to_owned());
    let message = format!("{program} was killed by {name}");
    match signal {
        Some(Signal::SIGKILL) => {
            Failure::environment(message).because("someone killed it from outside, or the system ran out of memory")
        }
        Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP) => Failure::environment(message),
        Some(Signal::SIGSEGV) => Failure::user(message).because("it used memory that it does not have"),
        Some(Signal::SIGABRT) => Failure::user(message).because("it aborted itself"),
        _ => Failure::user(message),
    }
}

/// The last lines, without the ones that say nothing.
fn summary(last_words: &str) -> String {
    let lines: Vec<String> = last_words
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
        .map(|line| line.chars().filter(|char| !char.is_control() || *char == '\t').take(LINE_CHARS_MAX).collect())
        .collect();
    lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default().join("\n")
}

/// The failure of a program that could not be started at all.
pub(super) fn not_started(program: &str, error: &std::io::Error) -> Failure {
    use nix::libc;
    let failure = match error.raw_os_error() {
        Some(libc::ENOEXEC) => Failure::user(format!("{program} is not an executable for this machine"))
            .because(format!("this machine runs {} programs", std::env::consts::ARCH)),
        Some(libc::EACCES | libc::EPERM) => {
            Failure::environment(format!("{program} may not be executed in the TaskManager's work directory"))
                .because("the file system may be mounted noexec")
        }
        Some(libc::ENOENT) => {
            Failure::user(format!("the interpreter or dynamic loader that {program} needs is not on this machine"))
        }
        Some(libc::E2BIG) => Failure::user(format!("the arguments of {program} are too long for this machine")),
        _ => return Failure::environment(format!("{program} could not be started")).caused_by(error),
    };
    failure.caused_by(error).fatal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: i32, last_words: &str, expected: &str) {
        let failure = failure("app", ExitStatus::from_raw(raw), last_words);
        assert_eq!(format!("{:?}: {}", failure.domain, failure.report()), expected);
    }

    #[test]
    fn ends_are_told_with_their_cause() {
        check(3 << 8, "no such file\n", "User: app ended with exit code 3\nCaused by: no such file");
        check(
            101 << 8,
            "\nthread 'main' (1) panicked at a.rs:1:1:\nboom\nnote: run with `RUST_BACKTRACE=1` …\n",
            "User: app panicked (exit code 101)\nCaused by: thread 'main' (1) panicked at a.rs:1:1:\nboom",
        );
        check(
            0,
            "",
            "User: app ended with exit code 0 before its job was over\n\
             Caused by: a program must reach execute() and leave ending to it",
        );
        check(
            179 << 8,
            "the TaskManager speaks version 2\n",
            "User: app was built with another version of Flott than this cluster's\n\
             Caused by: the TaskManager speaks version 2",
        );
        check(11, "", "User: app was killed by SIGSEGV\nCaused by: it used memory that it does not have");
        check(
            9,
            "",
            "Environment: app was killed by SIGKILL\n\
             Caused by: someone killed it from outside, or the system ran out of memory",
        );
        check(42, "", "User: app was killed by signal 42");
    }

    #[test]
    fn only_the_last_lines_are_told() {
        let words: String = (0..100).map(|line| format!("line {line}\n")).collect();
        assert_eq!(summary(&words).lines().count(), LINES_MAX);
        assert!(summary(&words).ends_with("line 99"));
    }
}

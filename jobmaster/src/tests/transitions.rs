//! The two transition tables, as golden text; the same text stands in `docs/dev/task-states.md`.

use std::{fmt::Debug, fmt::Write as _, path::Path};

use flott_core::status::{ExecutionState, JobStatus};

use crate::execution_graph::{
    job_transition::{self, JobStep},
    transition::{self, ExecutionStep},
};

/// A Markdown table: a row per state, a column per step, `·` where nothing changes.
fn table<S: Copy, T: Copy + Debug>(
    corner: &str,
    states: &[S],
    steps: &[T],
    name: impl Fn(S) -> &'static str,
    step: impl Fn(S, T) -> Option<S>,
) -> String {
    let mut text = format!("| {corner} |");
    for step in steps {
        write!(text, " {step:?} |").unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(steps.len()));
    for &state in states {
        write!(text, "\n| {} |", name(state)).unwrap();
        for &taken in steps {
            write!(text, " {} |", step(state, taken).map_or("·", &name)).unwrap();
        }
    }
    text.push('\n');
    text
}

fn task_table() -> String {
    table("attempt", ExecutionState::ALL, ExecutionStep::ALL, ExecutionState::as_str, transition::step)
}

fn job_table() -> String {
    table("job", JobStatus::ALL, JobStep::ALL, JobStatus::as_str, job_transition::step)
}

/// With `FLOTT_REWRITE_GOLDEN` set, the page is rewritten instead.
#[test]
fn the_tables_are_those_of_the_docs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dev/task-states.md");
    let text = std::fs::read_to_string(&page).expect("the page exists");
    let mut expected = text.clone();
    for (mark, table) in [("attempts", task_table()), ("jobs", job_table())] {
        let (begin, end) = (format!("<!-- begin {mark} -->\n"), format!("<!-- end {mark} -->"));
        let (head, rest) = expected.split_once(&begin).expect("the page has a mark for the table");
        let (_, tail) = rest.split_once(&end).expect("the page has an end mark for the table");
        expected = format!("{head}{begin}{table}{end}{tail}");
    }
    if std::env::var_os("FLOTT_REWRITE_GOLDEN").is_some() {
        std::fs::write(&page, &expected).expect("the page can be written");
        return;
    }
    assert_eq!(text, expected, "set FLOTT_REWRITE_GOLDEN=1 to rewrite the page");
}

#[test]
fn what_has_ended_stays_ended() {
    for state in ExecutionState::ALL.iter().filter(|state| state.is_terminal()) {
        assert!(ExecutionStep::ALL.iter().all(|step| transition::step(*state, *step).is_none()), "{state}");
    }
    for status in JobStatus::ALL.iter().filter(|status| status.is_terminal()) {
        assert!(JobStep::ALL.iter().all(|step| job_transition::step(*status, *step).is_none()), "{status}");
    }
}

#[test]
fn a_repeated_report_changes_nothing() {
    for &state in ExecutionState::ALL {
        for &step in ExecutionStep::ALL {
            if let Some(next) = transition::step(state, step) {
                let again = transition::step(next, step);
                assert!(again.is_none(), "{state} -> {next} -> {again:?} by {step:?} twice");
            }
        }
    }
}

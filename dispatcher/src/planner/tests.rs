//! The children here are system programs: what matters is what the sandbox does with programs that do not plan.

use super::*;

fn plan(program: &str, arguments: &[&str], timeout: Duration) -> (tempfile::TempDir, PlanError) {
    let scratch = tempfile::tempdir().unwrap();
    let planner = Planner { scratch: scratch.path().to_owned(), timeout };
    let job = PlanJob {
        program: program.into(),
        name: "program".to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        request: PlanRequest::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(planner.plan(job)).unwrap_err();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "the sandbox leaves nothing behind");
    (scratch, error)
}

#[track_caller]
fn check(program: &str, arguments: &[&str], expected: &str) {
    let error = plan(program, arguments, Duration::from_secs(60)).1.to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_program_that_plans_nothing_is_told_so() {
    check("/bin/true", &[], "never called execute()");
}

#[test]
fn a_failing_program_is_quoted() {
    check("/bin/sh", &["-c", "echo no such input >&2; exit 3"], "ended with exit code 3");
    check("/bin/sh", &["-c", "echo no such input >&2; exit 3"], "no such input");
    check("/bin/sh", &["-c", "kill -SEGV $$"], "killed by SIGSEGV");
}

#[test]
fn a_program_that_prints_without_end_is_cut() {
    let script = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890; i=$((i+1)); done; exit 1";
    let error = plan("/bin/sh", &["-c", script], Duration::from_secs(60)).1.to_string();
    assert!(error.len() < 9000, "{} bytes", error.len());
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let error = plan("/bin/sh", &["-c", "sleep 1000 & wait"], Duration::from_millis(300)).1;
    assert!(matches!(error, PlanError::TimedOut { .. }), "{error}");
}

#[test]
fn the_environment_is_clean() {
    check("/bin/sh", &["-c", "env; exit 1"], "FLOTT_MODE=plan");
    let error = plan("/bin/sh", &["-c", "env; exit 1"], Duration::from_secs(60)).1.to_string();
    assert!(!error.contains("CARGO"), "{error}");
}

#[test]
fn other_files_are_refused_unrun() {
    let directory = tempfile::tempdir().unwrap();
    let jar = directory.path().join("job.jar");
    std::fs::write(&jar, b"PK\x03\x04").unwrap();
    check(&jar.to_string_lossy(), &[], "a Java archive");
}

#[test]
fn a_plan_that_is_no_graph_is_refused() {
    check("/bin/sh", &["-c", "echo '{}' > $FLOTT_PLAN_OUTPUT"], "job graph that is refused");
}

//! What cannot be run is counted, and the whole run says of itself that it is incomplete.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

/// A test that needs a cluster, which needs programs.
const NEEDS_PROGRAMS: &str = "smoke::a_detached_cluster_is_ended_by_its_directory";

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What `.ci/run` says at its end, when all has passed.
#[track_caller]
fn verdict(list: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/verdict");
    text(&Command::new(script).env("FLOTT_SKIPPED", list).output().unwrap())
}

#[test]
fn a_run_that_has_skipped_a_test_says_which_and_that_it_is_incomplete() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("skipped.txt");
    assert_eq!(verdict(&list), "complete: everything was run, and has passed\n");
    fs::write(&list, "").unwrap();
    assert_eq!(verdict(&list), "complete: everything was run, and has passed\n");

    // Where there is no program at all.
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", NEEDS_PROGRAMS]).env("PATH", directory.path()).env("FLOTT_SKIPPED", &list);
    let printed = text(&test.output().unwrap());
    let name = NEEDS_PROGRAMS.rsplit("::").next().unwrap();
    let line = format!("SKIPPED {name}: python3, setpriv, setsid not on PATH\n");
    assert!(printed.contains("1 passed") && printed.contains(&line), "{printed}");
    // And one that the Makefile counts.
    fs::write(&list, fs::read_to_string(&list).unwrap() + "SKIPPED 10 tests of something\n").unwrap();
    let incomplete = "INCOMPLETE: all that was run has passed, and this was skipped (2 times):\n";
    assert_eq!(verdict(&list), format!("{incomplete}{line}SKIPPED 10 tests of something\n"));
}

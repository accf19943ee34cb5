//! Where there is no broker to be had, that is counted.

use std::{
    env, fs,
    process::{Command, Stdio},
};

/// A test that needs a broker.
const NEEDS_BROKER: &str = "bounded::what_a_job_writes_another_reads";

#[test]
fn tests_without_a_broker_are_told_of_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("skipped.txt");
    fs::write(&list, "SKIPPED another\n").unwrap();
    // Where there is no program at all, and so no Java.
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", NEEDS_BROKER]).env("PATH", directory.path()).env("FLOTT_SKIPPED", &list);
    let output = test.stdin(Stdio::null()).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
    let listed = fs::read_to_string(&list).unwrap();
    let [_, line] = listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed:?}") };
    assert!(line.starts_with("SKIPPED the tests of Kafka: it needs a Kafka broker, and java"), "{line}");
    assert!(printed.contains(line), "{printed}");
}

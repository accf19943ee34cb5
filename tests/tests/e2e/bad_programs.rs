//! Programs that cannot be run: one clear line each, the documented exit code, nothing left running.

use std::{fs, os::unix::fs::PermissionsExt};

use flott_tests::{
    binaries::binary,
    program::{check_output, test_program},
    sandbox::Sandbox,
};

/// A file that is marked as executable, with any content.
fn executable(sandbox: &Sandbox, name: &str, content: &[u8]) -> String {
    let path = sandbox.write(name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// All verbs that need the program refuse it with the same words.
#[track_caller]
fn check(sandbox: &Sandbox, program: &[&str], parts: &[&str]) {
    let (graph, lines) =
        (sandbox.at("job.graph"), [vec!["run", "-m", "cluster"], vec!["run", "-m", "cluster", "-d"], vec!["info"]]);
    for line in lines {
        sandbox.flott(line.iter().chain(program)).refused(1, parts);
    }
    sandbox.flott(["plan", "-o", &graph].iter().chain(program)).refused(1, parts);
    assert!(!fs::exists(&graph).unwrap(), "no graph is written");
    let left = sandbox.processes();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn files_that_are_no_programs() {
    let sandbox = Sandbox::new();
    let missing = sandbox.at("missing");
    check(&sandbox, &[&missing], &["there is no program", &missing]);
    sandbox.flott(["run", "-m", "local", &missing]).refused(1, &["there is no program", &missing]);
    check(&sandbox, &["no-such-program-in-the-path"], &["there is no program", "no-such-program-in-the-path"]);

    let plain = sandbox.write("plain.txt", "not a program");
    check(&sandbox, &[&plain], &[&plain, "not executable"]);
    let directory = sandbox.at("home");
    check(&sandbox, &[&directory], &[&directory, "is a directory"]);
    let text = executable(&sandbox, "text", b"just text\n");
    check(&sandbox, &[&text], &[&text, "not an executable for"]);
    let empty = executable(&sandbox, "empty", b"");
    check(&sandbox, &[&empty], &[&empty, "not an executable for"]);
}

#[test]
fn a_program_for_another_machine() {
    let sandbox = Sandbox::new();
    let mut elf = fs::read(test_program()).unwrap();
    // e_machine: AArch64 for x86-64 and the other way round.
    let other: u16 = if cfg!(target_arch = "aarch64") { 0x3e } else { 0xb7 };
    elf[18..20].copy_from_slice(&other.to_le_bytes());
    let foreign = executable(&sandbox, "foreign", &elf);
    check(&sandbox, &[&foreign], &[&foreign, "not an executable for"]);
    sandbox.flott(["run", "-m", "local", &foreign]).expect(1).says(&[&foreign]);
    let truncated = executable(&sandbox, "truncated", &elf[..1000]);
    check(&sandbox, &[&truncated], &[&truncated]);
}

#[test]
fn a_program_that_never_calls_execute() {
    let sandbox = Sandbox::new();
    check(&sandbox, &[&test_program(), "a", "plan=none"], &["without calling execute()"]);
    let script = executable(&sandbox, "script", b"#!/bin/sh\nexit 0\n");
    check(&sandbox, &[&script], &["without calling execute()"]);
    for program in [vec![&*test_program(), "a", "plan=none"], vec![&*script]] {
        sandbox.flott(["run", "-m", "local"].into_iter().chain(program)).refused(1, &["without calling execute()"]);
    }
}

#[test]
fn a_program_that_ends_before_execute() {
    let sandbox = Sandbox::new();
    check(&sandbox, &[&test_program(), "a", "plan=exit"], &["exited with code 7"]);
    check(&sandbox, &[&test_program(), "a", "plan=segfault"], &["SIGSEGV"]);
    check(&sandbox, &[&test_program(), "a", "no-such-argument"], &["exited with code 64"]);
    let panicked = sandbox.flott(["run", "-m", "cluster", &test_program(), "a", "plan=panic"]).expect(1);
    panicked.says(&["main has had enough", "exited with code 101"]);
}

#[test]
fn a_program_that_never_gets_to_execute() {
    let sandbox = Sandbox::with("client.timeout: 500 ms");
    check(&sandbox, &[&test_program(), "a", "plan=spin"], &["did not reach execute() within 0.5 s"]);
}

#[test]
fn a_program_that_calls_execute_twice_is_refused() {
    let sandbox = Sandbox::new();
    let (own, local) = (sandbox.at("own"), sandbox.at("local"));
    let output = |path: &str| format!("output={path}");
    let twice = sandbox.program(&test_program(), ["a", "plan=twice", &output(&own)]).expect(1);
    twice.says(&["`execute` was called twice"]);
    let line = ["run", "-m", "local", &test_program(), "a", "plan=twice", &output(&local)];
    sandbox.flott(line).refused(1, &["calls execute() twice"]);

    check(&sandbox, &[&test_program(), "a", "plan=twice"], &["calls execute() twice"]);
    let session = sandbox.session(&[]);
    for options in [vec!["run"], vec!["run", "-d"]] {
        sandbox
            .flott(options.into_iter().chain([&*test_program(), "a", "plan=twice"]))
            .refused(1, &["calls execute() twice"]);
    }
    assert_eq!(session.get("/jobs")["jobs"].as_array().map(Vec::len), Some(0));
    session.stop();
}

#[test]
fn a_program_that_plans_something_else_each_time() {
    let sandbox = Sandbox::new();
    let out = sandbox.at("out");
    let line = ["run", "-m", "cluster", &test_program(), "a", "plan=random", &format!("output={out}")];
    let failed = sandbox.flott(line).expect(2);
    failed.says(&["not deterministic", "counts of process"]);
    flott_tests::book::nothing_in(&out);
    sandbox.until_empty();
}

#[test]
fn a_local_run_says_how_the_program_ended() {
    let sandbox = Sandbox::new();
    let local = |arguments: &[&str]| {
        let program = test_program();
        sandbox.flott(["run", "-m", "local", &program, "a"].iter().chain(arguments))
    };
    local(&[]).success();
    local(&["plan=segfault"]).refused(1, &["SIGSEGV", "before its job began"]);
    local(&["plan=exit"]).refused(1, &["exit code 7", "before its job began"]);
    local(&["plan=panic"]).refused(1, &["main has had enough", "before its job began"]);
    local(&["trouble=panic", "at=3"]).expect(2).says(&["this record is too much"]);
}

#[test]
fn a_program_that_is_gone_or_replaced_after_it_was_submitted_is_no_matter() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let (copy, hold, out) = (sandbox.at("copy"), sandbox.at("hold"), sandbox.at("out"));
    fs::copy(test_program(), &copy).unwrap();
    let job = session.submit(&copy, ["a", &format!("hold={hold}"), &format!("output={out}")]);
    session.until_all_run(&job);
    fs::remove_file(&copy).unwrap();
    executable(&sandbox, "copy", b"#!/bin/sh\nexit 1\n");
    let processes = sandbox.running(flott_tests::sandbox::processes::Role::JobProcess);
    flott_tests::sandbox::processes::Process::kill_all(&processes);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    check_output(&out, 1000, 10);
    session.stop();
}

#[test]
fn examples_refuse_arguments_that_they_do_not_know() {
    let sandbox = Sandbox::new();
    for example in ["wordcount", "keyed-sum", "stream-join", "fail-at", "socket-wordcount", "orders-by-day"] {
        let outcome = sandbox.program(&binary(example), ["--no-such-argument"]);
        assert!(!outcome.status.success() && outcome.err.contains("--no-such-argument"), "{example}: {}", outcome.err);
    }
}

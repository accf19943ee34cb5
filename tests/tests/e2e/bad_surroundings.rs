//! Settings, ports, inputs and outputs that do not serve.

use std::{fs, net::TcpListener};

use flott_tests::{
    binaries::binary,
    book::{book, lines_in, nothing_in},
    disk::SmallDisk,
    eventually::{PATIENCE, eventually},
    program::test_program,
    sandbox::Sandbox,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let sandbox = Sandbox::new();
    let key = ["-D", "taskmanger.numberOfTaskSlots=2"];
    let program = test_program();
    let lines: [&[&str]; 5] = [
        &["run", "-m", "cluster", &program, "a"],
        &["run", "-m", "local", &program, "a"],
        &["session", "start"],
        &["plan", &program, "a"],
        &["list"],
    ];
    for line in lines {
        let (verb, rest) = line.split_first().unwrap();
        let line = [*verb].into_iter().chain(key).chain(rest.iter().copied());
        sandbox.flott(line).refused(1, &["taskmanger.numberOfTaskSlots", "taskmanager.numberOfTaskSlots"]);
    }
    let value = ["session", "start", "-D", "taskmanager.numberOfTaskSlots=many"];
    sandbox.flott(value).refused(1, &["taskmanager.numberOfTaskSlots", "many"]);
    sandbox.flott(["session", "start", "-D", "novalue"]).refused(1, &["novalue"]);
    sandbox.flott(["session", "start", "-D", "state.backend.type=forst"]).refused(1, &["state.backend.type"]);

    sandbox.configure("rest.prot: 1");
    sandbox.flott(["session", "start"]).refused(1, &["rest.prot", "rest.port"]);
    sandbox.configure("rest.port: [1, 2");
    sandbox.flott(["session", "start"]).refused(1, &["config.yaml"]);
    fs::remove_file(sandbox.at("conf/config.yaml")).unwrap();
    sandbox.flott(["session", "start"]).refused(1, &["config.yaml"]);
    sandbox.until_empty();
}

#[test]
fn a_system_that_trusts_nobody_serves_who_needs_no_tls() {
    let sandbox = Sandbox::new();
    let flott = |line: &[&str]| {
        let state = sandbox.state();
        let line = ["--state-dir", &state].into_iter().chain(line.iter().copied());
        let mut command = sandbox.command(&binary("flott"), line);
        // As in an image that holds nothing but this program.
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", sandbox.at("nowhere"));
        sandbox.start(command).end()
    };
    flott(&["session", "start"]).success();
    flott(&["run", "-p", "2", &test_program(), "a"]).success();
    flott(&["list", "-a"]).success().prints(&["FINISHED"]);
    flott(&["list", "-m", "https://127.0.0.1:1"]).refused(1, &["security.ssl.rest.ca"]);
    flott(&["session", "stop"]).success();
    sandbox.until_empty();
}

#[test]
fn keys_of_a_virtual_machine_are_one_warning_line_each() {
    let sandbox = Sandbox::new();
    let line = ["run", "-m", "local", "-D", "env.java.opts=-Xmx1g", "-D", "classloader.resolve-order=parent-first"];
    let outcome = sandbox.flott(line.into_iter().chain([test_program().as_str(), "a"])).success();
    for key in ["env.java.opts", "classloader.resolve-order"] {
        let about = outcome.err.lines().filter(|line| line.contains("warning") && line.contains(key)).count();
        assert_eq!(about, 1, "{key}:\n{}", outcome.err);
    }
}

#[test]
fn parallelism_that_makes_no_sense() {
    let sandbox = Sandbox::new();
    let program = test_program();
    for target in ["cluster", "local"] {
        sandbox.flott(["run", "-m", target, "-p", "0", &program, "a"]).refused(1, &["parallelism", "0"]);
        sandbox
            .flott(["run", "-m", target, "-p", "40000", &program, "a"])
            .refused(1, &["parallelism", "40000", "32768"]);
        sandbox.flott(["run", "-m", target, "-p", "-1", &program, "a"]).expect(1);
    }
    sandbox.flott(["run", "-p", "many", &program, "a"]).expect(1).says(&["many"]);
    let above = ["run", "-m", "cluster", "-p", "4", "-D", "pipeline.max-parallelism=2", &program, "a"];
    sandbox.flott(above).expect(1).says(&["maximum parallelism", "2"]);
    assert!(sandbox.processes().is_empty());
}

#[test]
fn a_port_that_is_taken() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let key = format!("rest.port={port}");
    sandbox.flott(["session", "start", "-D", &key]).refused(1, &[&port]);
    sandbox.flott(["run", "-m", "cluster", "-d", "-D", &key, &test_program(), "a"]).refused(1, &[&port]);
    sandbox.flott(["run", "-m", "cluster", "-D", &key, &test_program(), "a"]).refused(1, &[&port]);
    sandbox.until_empty();
    // What was refused has left nothing behind that keeps the next from starting.
    drop(taken);
    sandbox.session(&[&key]).stop();
}

#[test]
fn an_endpoint_for_everyone_needs_a_token() {
    let sandbox = Sandbox::new();
    sandbox.flott(["session", "start", "-D", "rest.bind-address=0.0.0.0"]).refused(1, &["security.token"]);
    sandbox.until_empty();
}

/// A word count on a cluster of its own that fails; its error says `parts`, and the program by itself says so too.
#[track_caller]
fn check_wordcount(sandbox: &Sandbox, input: &str, output: &str, parts: &[&str]) {
    let program = binary("wordcount");
    let arguments = ["--mode", "batch", "--input", input, "--output", output];
    sandbox.program(&program, arguments).expect(1).says(parts);
    let line = ["run", "-m", "cluster", "-D", "restart-strategy.fixed-delay.attempts=1", &program];
    sandbox.flott(line.into_iter().chain(arguments)).expect(2).says(parts);
    let left = sandbox.processes();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_input_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    let (missing, out) = (sandbox.at("missing.txt"), sandbox.at("out"));
    check_wordcount(&sandbox, &missing, &out, &[&missing]);
    nothing_in(&out);
}

#[test]
fn an_output_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", "in the way");
    let out = format!("{file}/out");
    check_wordcount(&sandbox, &book(), &out, &[&out]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "in the way");
}

#[test]
fn an_output_that_holds_files_already() {
    let sandbox = Sandbox::new();
    let out = sandbox.at("out");
    fs::create_dir(&out).unwrap();
    sandbox.write("out/part-0", "precious\n");
    check_wordcount(&sandbox, &book(), &out, &[&out, "already holds files"]);
    assert_eq!(lines_in(&out), ["precious"]);
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["part-0"], "nothing hidden is left beside it");
}

#[test]
fn a_jobmanager_serves_though_no_word_of_it_can_be_written() {
    let sandbox = Sandbox::new();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let directory = sandbox.at("mute");
    let mut command = sandbox.command(&binary("flott"), ["jobmanager", "--cluster-dir", &directory]);
    let mut manager = command.stdout(full()).stderr(full()).spawn().unwrap();
    let address = eventually("its address", PATIENCE, || fs::read_to_string(format!("{directory}/jobmanager.address")));
    sandbox.flott(["run", "-m", &address, &test_program(), "a"]).success();
    kill(Pid::from_raw(manager.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(manager.wait().unwrap().success());
    sandbox.until_empty();
}

#[test]
fn a_disk_that_is_full() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::mount(sandbox.at("disk"), "16k", "1 test of a full disk") else { return };
    let out = format!("{}/out", disk.path());
    check_wordcount(&sandbox, &book(), &out, &["No space left on device"]);
    nothing_in(&out);

    // Too small for the program as well: nothing is left of what could be written, but for logs of who tried.
    let state = format!("{}/state", disk.path());
    let left = || -> Vec<String> {
        let clusters = fs::read_dir(format!("{state}/clusters")).unwrap().map(|entry| entry.unwrap().path());
        let entries = clusters.flat_map(|cluster| fs::read_dir(cluster).unwrap().collect::<Vec<_>>());
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let run = |options: &[&str]| {
        let line = ["--state-dir", &state, "run", "-m", "cluster"].into_iter().chain(options.iter().copied());
        let command = sandbox.command(&binary("flott"), line.chain([&*test_program(), "a"]));
        sandbox.start(command).end().refused(1, &["No space left on device"]);
        sandbox.until_empty();
    };
    run(&["-d"]);
    assert_eq!(fs::read_dir(format!("{state}/clusters")).unwrap().count(), 0);
    run(&[]);
    let left = left();
    assert!(!left.iter().any(|name| ["staging", "blobs", "jobs"].contains(&&**name)), "{left:?}");
    drop(disk);
}

//! Jobs with state that go on from a savepoint or checkpoint: a count per key goes on where it was, and files are whole.

use std::fs;

use flott_tests::{
    book::{check_running, lines_in, nothing_hidden_in},
    eventually::{PATIENCE, eventually},
    program::{check_output, counts, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

const ON_REQUEST: &str = "execution.checkpointing.interval: 0 ms";
const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;

/// A count per key over numbers whose splits stop half-way.
struct CountJob<'a> {
    session: Session<'a>,
    job: String,
    hold: String,
    out: String,
}

fn arguments(hold: &str, out: &str) -> Vec<String> {
    vec![
        "held".to_owned(),
        format!("records={RECORDS}"),
        format!("keys={KEYS}"),
        format!("hold={hold}"),
        format!("output={out}"),
    ]
}

impl<'a> CountJob<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox) -> Self {
        Self::start_with(sandbox, &[])
    }

    /// With more settings of the program.
    #[track_caller]
    fn start_with(sandbox: &'a Sandbox, more: &[&str]) -> Self {
        let session = sandbox.session(&[]);
        let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
        let arguments = arguments(&hold, &out).into_iter().chain(more.iter().map(|&setting| setting.to_owned()));
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
        session.until_all_run(&job);
        eventually("half of the records to be read", PATIENCE, || {
            let details = session.try_get(&format!("/v1/jobs/{job}")).body;
            let read = details["vertices"][0]["metrics"]["read-records"].as_u64().unwrap_or(0);
            if read == RECORDS / 2 { Ok(()) } else { Err(read) }
        });
        Self { session, job, hold, out }
    }

    /// Runs the same program from `path` with another parallelism; wants the results of both to be right together.
    #[track_caller]
    fn check_from(&self, sandbox: &Sandbox, path: &str, parallelism: &str) {
        fs::write(&self.hold, "").unwrap();
        let rest = sandbox.at("rest");
        let options = ["-p", parallelism, "-s", path];
        self.session.run(&options, &test_program(), arguments(&self.hold, &rest)).success();
        let lines: Vec<_> = lines_in(&self.out).into_iter().chain(lines_in(&rest)).collect();
        check_running(&lines, &counts(RECORDS, KEYS));
    }
}

#[test]
fn counts_go_on_from_a_savepoint_that_a_job_was_stopped_with() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    job.check_from(&sandbox, stopped["location"].as_str().unwrap(), "2");
    job.session.stop();
}

#[test]
fn counts_go_on_within_the_program_alone() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    job.session.stop();
    let (path, rest) = (stopped["location"].as_str().unwrap(), sandbox.at("rest"));
    fs::write(&job.hold, "").unwrap();
    let line = ["run", "-m", "local", "-p", "2", "-s", path, &test_program()];
    sandbox.flott(line.map(str::to_owned).into_iter().chain(arguments(&job.hold, &rest))).success();
    let lines: Vec<_> = lines_in(&job.out).into_iter().chain(lines_in(&rest)).collect();
    check_running(&lines, &counts(RECORDS, KEYS));
    // What is not whole is not taken for nothing.
    let manifest = format!("{path}/_metadata");
    let spoilt = fs::read_to_string(&manifest).unwrap().replacen("held", "hold", 1);
    fs::write(&manifest, spoilt).unwrap();
    let other = sandbox.at("other");
    let run = sandbox.flott(line.map(str::to_owned).into_iter().chain(arguments(&job.hold, &other)));
    run.refused(2, &["_metadata", "checksum"]);
}

#[test]
fn what_a_cancelled_job_left_for_its_savepoint_is_shown_by_who_starts_from_it() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    let job = start_plain(&sandbox, &session);
    let taken = sandbox.flott(["cancel", "-s", &sandbox.at("savepoints"), &job, "--json"]).success().json();
    assert!(numbers_in(&[&sandbox.at("out")]).is_empty());
    let all: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(run_plain_from(&sandbox, &session, taken["location"].as_str().unwrap()), all);
    session.stop();
}

#[test]
fn counts_go_on_with_another_parallelism() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    job.check_from(&sandbox, stopped["location"].as_str().unwrap(), "3");
    job.session.stop();
}

#[test]
fn counts_go_on_from_the_checkpoint_of_a_cancelled_job() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let taken = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
    job.session.cancel(&job.job);
    job.check_from(&sandbox, taken["location"].as_str().unwrap(), "2");
    job.session.stop();
}

#[test]
fn counts_are_right_after_a_process_was_killed_behind_a_checkpoint() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    sandbox.flott(["checkpoint", &job.job]).success();
    Process::kill_all(&sandbox.running(Role::JobProcess));
    eventually("the job to be restored", PATIENCE, || {
        let counts = job.session.get(&format!("/v1/jobs/{}/checkpoints", job.job))["counts"].clone();
        if counts["restored"].as_u64() > Some(0) { Ok(()) } else { Err(counts) }
    });
    fs::write(&job.hold, "").unwrap();
    job.session.finished(&job.job);
    check_output(&job.out, RECORDS, KEYS);
    job.session.stop();
}

#[test]
fn a_directory_for_checkpoints_must_mean_the_same_for_all_processes() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let options = ["-D", "execution.checkpointing.dir=some/where"];
    let run = session.run(&options, &test_program(), arguments(&sandbox.at("hold"), &sandbox.at("out")));
    run.refused(2, &["execution.checkpointing.dir", "\"some/where\" is relative", "absolute path"]);
    session.stop();
}

#[test]
fn savepoints_of_every_version_of_the_format_are_gone_on_from() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    fs::write(sandbox.at("hold"), "").unwrap();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    for version in 1..=flott_snapshot::manifest::document::VERSION {
        let fixture = format!("{fixtures}/savepoint-version-{version}");
        let out = sandbox.at(&format!("out-{version}"));
        let arguments = ["held", "records=2000", "keys=20"].map(str::to_owned);
        let places = [format!("hold={}", sandbox.at("hold")), format!("output={out}")];
        let options = ["-p", "3", "-s", &format!("{fixture}/savepoint")];
        session.run(&options, &test_program(), arguments.into_iter().chain(places)).success();
        let before = fs::read_to_string(format!("{fixture}/lines.txt")).unwrap();
        let lines: Vec<_> = before.lines().map(str::to_owned).chain(lines_in(&out)).collect();
        check_running(&lines, &counts(2000, 20));
    }
    session.stop();
}

// ------------------------------------------------------------ output of a job without keyed state
//
// The program is the one of flott_tests::plain with `output=DIR` besides: numbers, each a line.

/// The numbers in output directories, in order.
#[track_caller]
fn numbers_in(directories: &[&str]) -> Vec<u64> {
    let lines = directories.iter().flat_map(|directory| lines_in(directory));
    let mut numbers: Vec<u64> = lines.map(|line| line.parse().expect("each line is a number")).collect();
    numbers.sort_unstable();
    numbers
}

/// The numbers up to the places where the two splits stop.
fn first_half() -> Vec<u64> {
    let half = RECORDS / 4;
    [0, RECORDS / 2].into_iter().flat_map(|from| from..from + half).collect()
}

fn plain(hold: &str, out: &str) -> Vec<String> {
    let mut arguments = arguments(hold, out);
    arguments.push("plain=true".to_owned());
    arguments
}

/// Starts a job that has read half of its numbers; gives its id.
#[track_caller]
fn start_plain(sandbox: &Sandbox, session: &Session<'_>) -> String {
    let arguments = plain(&sandbox.at("hold"), &sandbox.at("out"));
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
    eventually("half of the records to be read", PATIENCE, || {
        let read = flott_tests::plain::records_read(session, &job);
        if read == RECORDS / 2 { Ok(()) } else { Err(read) }
    });
    job
}

/// Runs the rest from `path`, with another directory for its output; gives what both have written.
#[track_caller]
fn run_plain_from(sandbox: &Sandbox, session: &Session<'_>, path: &str) -> Vec<u64> {
    fs::write(sandbox.at("hold"), "").unwrap();
    let (out, rest) = (sandbox.at("out"), sandbox.at("rest"));
    session.run(&["-p", "2", "-s", path], &test_program(), plain(&sandbox.at("hold"), &rest)).success();
    numbers_in(&[&out, &rest])
}

#[test]
fn what_a_stopped_job_has_written_is_visible_and_its_savepoint_gives_the_rest() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    let job = start_plain(&sandbox, &session);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job, "--json"]).success().json();
    assert_eq!(numbers_in(&[&sandbox.at("out")]), first_half());
    nothing_hidden_in(&sandbox.at("out"));
    let all: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(run_plain_from(&sandbox, &session, stopped["location"].as_str().unwrap()), all);
    session.stop();
}

#[test]
fn what_a_savepoint_holds_becomes_visible_with_the_next_checkpoint() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    let job = start_plain(&sandbox, &session);
    sandbox.flott(["savepoint", &job, &sandbox.at("savepoints")]).success();
    assert!(numbers_in(&[&sandbox.at("out")]).is_empty());
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    assert_eq!(numbers_in(&[&sandbox.at("out")]), (0..RECORDS).collect::<Vec<u64>>());
    session.stop();
}

#[test]
fn what_a_checkpoint_holds_is_visible_when_the_job_is_cancelled() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let session = sandbox.session(&[]);
    let job = start_plain(&sandbox, &session);
    let taken = sandbox.flott(["checkpoint", &job, "--json"]).success().json();
    session.cancel(&job);
    assert_eq!(numbers_in(&[&sandbox.at("out")]), first_half());
    let all: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(run_plain_from(&sandbox, &session, taken["location"].as_str().unwrap()), all);
    session.stop();
}

#[test]
fn state_is_shown_as_data() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let savepoint = |name: &str| {
        let dir = sandbox.at(name);
        sandbox.flott(["savepoint", "-m", job.session.address(), &job.job, &dir]).success();
        fs::read_dir(dir).unwrap().next().unwrap().unwrap().path().to_str().unwrap().to_owned()
    };
    let (first, second) = (savepoint("first"), savepoint("second"));
    let listed = sandbox.flott(["state", "ls", &first]).success().out;
    assert!(listed.contains("u64 -> u64"), "{listed}");
    let lines = sandbox.flott(["state", "cat", "--operator", "counts", &first]).success().out;
    let entries: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len() as u64, KEYS);
    assert_eq!(entries.iter().map(|entry| entry["value"].as_u64().unwrap()).sum::<u64>(), RECORDS / 2);
    assert_eq!(sandbox.flott(["state", "diff", &first, &second]).success().out, "no difference\n");
    let missing = sandbox.flott(["state", "cat", "--state", "visits", &first]);
    assert!(missing.err.contains("holds no such state; `flott state ls` lists what it holds"), "{}", missing.err);
    let missing = sandbox.flott(["state", "ls", &sandbox.at("nowhere")]);
    assert!(missing.err.contains(&sandbox.at("nowhere")), "{}", missing.err);
    job.session.stop();
}

/// The arguments of a program that has changed.
fn changed(job: &CountJob<'_>, out: &str, how: &[&str]) -> Vec<String> {
    arguments(&job.hold, out).into_iter().chain(how.iter().map(|&setting| setting.to_owned())).collect()
}

#[test]
fn state_that_the_program_has_no_operator_for_is_refused_unless_it_is_to_be_left_behind() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start(&sandbox);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    let path = stopped["location"].as_str().unwrap();
    fs::write(&job.hold, "").unwrap();
    // It shows the numbers themselves, and counts none.
    let (refused, rest) = (sandbox.at("refused"), sandbox.at("rest"));
    let run = job.session.run(&["-p", "2", "-s", path], &test_program(), changed(&job, &refused, &["plain=true"]));
    run.refused(2, &["state of \"counts", "-n (--allowNonRestoredState)", "uids"]);
    assert!(!std::path::Path::new(&refused).exists(), "it has written something");
    let options = ["-p", "2", "-s", path, "-n"];
    job.session.run(&options, &test_program(), changed(&job, &rest, &["plain=true"])).success();
    // What it still has goes on: the source.
    assert_eq!(lines_in(&rest).len() as u64, RECORDS / 2);
    job.session.stop();
}

#[test]
fn state_finds_its_operator_by_uid_wherever_that_stands() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = CountJob::start_with(&sandbox, &["uid=visits"]);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    let path = stopped["location"].as_str().unwrap();
    fs::write(&job.hold, "").unwrap();
    // By its place alone it is not found.
    let (refused, rest) = (sandbox.at("refused"), sandbox.at("rest"));
    let options = ["-p", "2", "-s", path];
    let run = job.session.run(&options, &test_program(), changed(&job, &refused, &["rearranged=true"]));
    run.refused(2, &["state of \"counts", "uids"]);
    let arguments = changed(&job, &rest, &["rearranged=true", "uid=visits"]);
    job.session.run(&options, &test_program(), arguments).success();
    let lines: Vec<_> = lines_in(&job.out).into_iter().chain(lines_in(&rest)).collect();
    check_running(&lines, &counts(RECORDS, KEYS));
    job.session.stop();
}

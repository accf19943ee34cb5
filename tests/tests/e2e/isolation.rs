//! One JobManager holds many jobs: what one of them does leaves the others alone.

use std::{fs, path::Path};

use flott_tests::{
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    sandbox::{Sandbox, Session, processes::Role},
};

/// A session whose one worker runs a good job, held half-way, and has room for a bad one.
struct Pair<'a> {
    session: Session<'a>,
    good: String,
    hold: String,
    out: String,
    pids: Vec<i32>,
}

impl<'a> Pair<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox) -> Self {
        let session = sandbox.session(&["taskmanager.numberOfTaskSlots=2"]);
        let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
        let good = session.submit(&test_program(), ["good", &format!("hold={hold}"), &format!("output={out}")]);
        session.until_all_run(&good);
        let pids = sandbox.until_running(Role::JobProcess, 1).iter().map(|process| process.pid).collect();
        Self { session, good, hold, out, pids }
    }

    /// Wants the good job to be unharmed: the same process, no failure, the right result.
    #[track_caller]
    fn finish(self, sandbox: &Sandbox) {
        assert_eq!(self.session.state(&self.good), "RUNNING");
        let running: Vec<_> = sandbox.running(Role::JobProcess).iter().map(|process| process.pid).collect();
        assert!(self.pids.iter().all(|pid| running.contains(pid)), "its process is another one");
        fs::write(&self.hold, "").unwrap();
        self.session.finished(&self.good);
        assert!(self.session.exceptions(&self.good).is_empty());
        check_output(&self.out, 1000, 10);
        self.session.stop();
    }
}

/// A job that ends badly fails, its failure says `parts`, and its neighbour does not notice.
#[track_caller]
fn check_failure(trouble: &str, parts: &[&str]) {
    let sandbox = Sandbox::with("restart-strategy.type: none");
    let pair = Pair::start(&sandbox);
    let bad = pair.session.run(&[], &test_program(), ["bad", &format!("trouble={trouble}")]).expect(2).says(parts);
    let exceptions = pair.session.exceptions(&bad.job());
    assert_eq!(exceptions.len(), 1, "{exceptions:?}");
    let text = exceptions[0].to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    pair.finish(&sandbox);
}

#[test]
fn a_program_that_panics_fails_alone() {
    check_failure("panic", &["this record is too much"]);
}

#[test]
fn a_program_that_segfaults_fails_alone() {
    check_failure("segfault", &["SIGSEGV"]);
}

#[test]
fn a_program_that_exits_fails_alone() {
    check_failure("exit", &["7"]);
}

#[test]
fn a_program_that_spins_is_cancelled_alone() {
    let sandbox = Sandbox::with("task.cancellation.timeout: 500 ms");
    let pair = Pair::start(&sandbox);
    let bad = pair.session.submit(&test_program(), ["bad", "trouble=spin"]);
    pair.session.until_all_run(&bad);
    sandbox.flott(["cancel", &bad]).success();
    pair.session.until(&bad, "CANCELED");
    sandbox.until_running(Role::JobProcess, 1);
    pair.finish(&sandbox);
}

#[test]
fn a_program_that_prints_gigabytes_fills_no_disk() {
    const LOG_MAX: u64 = 256 << 10;
    let sandbox = Sandbox::with("task.cancellation.timeout: 500 ms\nflott.log.max-size: 256 kb");
    let pair = Pair::start(&sandbox);
    let bad = pair.session.submit(&test_program(), ["bad", "trouble=print"]);
    pair.session.until_all_run(&bad);
    // What comes first has been dropped when there is an older part.
    let largest = eventually("its output to exceed what is kept", PATIENCE, || {
        let sizes = sizes_of(Path::new(&sandbox.state()), &format!("{bad}.out"));
        if sizes.iter().sum::<u64>() >= LOG_MAX / 2 { Ok(sizes) } else { Err(format!("{sizes:?}")) }
    });
    for _ in 0..20 {
        let sizes = sizes_of(Path::new(&sandbox.state()), &format!("{bad}.out"));
        assert!(sizes.iter().sum::<u64>() <= LOG_MAX + (128 << 10), "{largest:?} then {sizes:?}");
        pair.session.get("/overview");
    }
    sandbox.flott(["logs", "--stdout", &bad]).success().prints(&["much ado about nothing"]);
    sandbox.flott(["cancel", &bad]).success();
    pair.session.until(&bad, "CANCELED");
    pair.finish(&sandbox);
}

/// Sizes of the files below `directory` whose names begin with `name`.
fn sizes_of(directory: &Path, name: &str) -> Vec<u64> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => sizes.extend(sizes_of(&entry.path(), name)),
            Ok(metadata) if entry.file_name().to_string_lossy().starts_with(name) => sizes.push(metadata.len()),
            Ok(_) | Err(_) => {}
        }
    }
    sizes
}

#[test]
fn children_of_a_program_end_with_its_job() {
    let sandbox = Sandbox::new();
    let pair = Pair::start(&sandbox);
    let bad = pair.session.submit(&test_program(), ["bad", "trouble=spawn"]);
    pair.session.finished(&bad);
    eventually("the child of the ended job to be gone", PATIENCE, || {
        let left = sandbox.running(Role::Other);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    pair.finish(&sandbox);
}

#[test]
fn cancelling_one_job_leaves_the_other() {
    let sandbox = Sandbox::new();
    let pair = Pair::start(&sandbox);
    let out = sandbox.at("cancelled");
    let hold = format!("hold={}", sandbox.at("never"));
    let other = pair.session.submit(&test_program(), ["other", &hold, &format!("output={out}")]);
    pair.session.until_all_run(&other);
    sandbox.flott(["cancel", &other]).success();
    pair.session.until(&other, "CANCELED");
    flott_tests::book::nothing_in(&out);
    pair.finish(&sandbox);
}

#[test]
fn many_jobs_share_one_session() {
    const JOBS: usize = 6;
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=3"]);
    let outs: Vec<_> = (0..JOBS).map(|number| sandbox.at(&format!("out-{number}"))).collect();
    let jobs: Vec<_> =
        outs.iter().map(|out| session.submit(&test_program(), ["a", &format!("output={out}")])).collect();
    for (job, out) in jobs.iter().zip(&outs) {
        session.finished(job);
        check_output(out, 1000, 10);
    }
    assert_eq!(session.get("/overview")["jobs-finished"], JOBS);
    session.stop();
}

//! Jobs whose processes are killed go on from their checkpoints: each result is there once, and what was read before is
//! not read again.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use flott_tests::{
    checkpoints::{PATIENCE, checkpoints, until_checkpoint},
    copy,
    disk::exchange,
    eventually::eventually,
    program::{check_output, check_partitioned_output, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

const RECORDS: u64 = 200_000;
const SPLITS: u64 = 2_000;
const KEYS: u64 = 50;

struct Run<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
    /// Whose results are where they belong.
    check_output: fn(&str, u64, u64),
}

impl<'a> Run<'a> {
    /// A job with a checkpoint each tenth of a second, whose readers stand half-way.
    fn half_way(sandbox: &'a Sandbox) -> Self {
        Self::writing(sandbox, &[], check_output)
    }

    /// The same, with settings of the program that say how it writes.
    fn writing(sandbox: &'a Sandbox, settings: &[&str], check_output: fn(&str, u64, u64)) -> Self {
        sandbox.configure(&format!("execution.checkpointing.dir: {}", sandbox.at("checkpoints")));
        let session = sandbox.session(&[]);
        let mut arguments = vec![
            "held".to_owned(),
            format!("records={RECORDS}"),
            format!("splits={SPLITS}"),
            format!("keys={KEYS}"),
            format!("hold={}", sandbox.at("hold")),
            format!("output={}", sandbox.at("out")),
        ];
        arguments.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let options = ["-d", "-p", "2", "-D", "execution.checkpointing.interval=100 ms"];
        let job = session.run(&options, &test_program(), arguments).success().job();
        session.until_all_run(&job);
        let run = Self { sandbox, session, job, check_output };
        run.until_checkpoint();
        run
    }

    fn until_checkpoint(&self) {
        until_checkpoint(Path::new(&self.sandbox.at("checkpoints")));
    }

    /// Waits until so many more files are visible in partitions, or all of them are.
    fn until_files(&self, more: usize) {
        let out = self.sandbox.at("out");
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let is_hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
        let files = || {
            let partitions = entries(Path::new(&out)).filter(|entry| !is_hidden(entry));
            partitions.map(|partition| entries(&partition.path()).count()).sum::<usize>()
        };
        let (before, began) = (files(), Instant::now());
        while files() < before + more && entries(Path::new(&out)).any(|entry| is_hidden(&entry)) {
            assert!(began.elapsed() < PATIENCE, "no {more} files after {before} for {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn kill(&self, role: Role) {
        Process::kill_all(&self.sandbox.running(role));
    }

    fn go_on(&self) {
        fs::write(self.sandbox.at("hold"), "").unwrap();
    }

    /// All results are there, and each once.
    #[track_caller]
    fn check(self) {
        self.session.finished(&self.job);
        (self.check_output)(&self.sandbox.at("out"), RECORDS, KEYS);
        assert_eq!(checkpoints(Path::new(&self.sandbox.at("checkpoints"))), [0; 0], "a finished job leaves none");
        self.session.stop();
        self.sandbox.until_empty();
    }
}

#[test]
fn a_killed_job_process_costs_nothing_that_a_checkpoint_holds() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    run.kill(Role::JobProcess);
    run.session.until_all_run(&run.job);
    run.until_checkpoint();
    run.go_on();
    run.check();
}

#[test]
fn a_killed_task_manager_costs_nothing_that_a_checkpoint_holds() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    run.kill(Role::TaskManager);
    run.session.until_all_run(&run.job);
    run.go_on();
    run.check();
}

#[test]
fn a_killed_job_manager_is_followed_by_one_that_goes_on_from_the_checkpoint() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    run.kill(Role::JobManager);
    sandbox.until_running(Role::JobManager, 0);
    let session = sandbox.session(&[]);
    session.until_all_run(&run.job);
    let run = Run { session, ..run };
    run.go_on();
    run.check();
}

#[test]
fn kills_at_any_moment_leave_each_result_in_one_file_of_its_partition() {
    let sandbox = Sandbox::new();
    let run = Run::writing(&sandbox, &["partitioned=true"], check_partitioned_output);
    run.go_on();
    for (more, role) in [(20, Role::JobProcess), (60, Role::TaskManager), (5, Role::JobProcess), (80, Role::JobProcess)]
    {
        run.until_files(more);
        run.kill(role);
        run.session.until_one_of(&run.job, &["RUNNING", "FINISHED"]);
    }
    run.check();
}

/// Another JobManager, which finds something else in the place of the checkpoints until they are brought back.
fn follow_with<'a>(sandbox: &'a Sandbox, run: &Run<'_>, aside: String) -> (Session<'a>, impl Fn() + use<'a>) {
    run.kill(Role::JobManager);
    sandbox.until_running(Role::JobManager, 0);
    let place = sandbox.at("checkpoints");
    let swap = move || exchange(Path::new(&place), Path::new(&aside));
    swap();
    (sandbox.session(&[]), swap)
}

/// The same with a file.
fn follow_without_checkpoints<'a>(sandbox: &'a Sandbox, run: &Run<'_>) -> (Session<'a>, impl Fn() + use<'a>) {
    follow_with(sandbox, run, sandbox.write("aside", "not a directory"))
}

/// The job waits for its checkpoints, for this reason, until they are brought back, and its tasks run on meanwhile.
#[track_caller]
fn check_waits(run: Run<'_>, session: Session<'_>, bring_back: impl Fn(), why: &str) {
    let sandbox = run.sandbox;
    let processes = sandbox.running(Role::JobProcess);
    eventually("the job to wait", PATIENCE, || {
        let (state, failures) = (session.state(&run.job), session.exceptions(&run.job));
        let is_told = failures.len() == 1 && failures[0].to_string().contains(why);
        if state == "INITIALIZING" && is_told { Ok(()) } else { Err(format!("{state}: {failures:?}")) }
    });
    let workers = sandbox.running(Role::TaskManager).len() as u64;
    eventually("all TaskManagers to be back", PATIENCE, || {
        let overview = session.get("/overview");
        if overview["taskmanagers"] == workers { Ok(()) } else { Err(overview) }
    });
    bring_back();
    session.until_all_run(&run.job);
    assert_eq!(sandbox.running(Role::JobProcess), processes, "tasks run on meanwhile");
    assert_eq!(session.attempts(&run.job), [0; 4]);
    let run = Run { sandbox, session, job: run.job, check_output: run.check_output };
    run.go_on();
    run.check();
}

#[test]
fn a_job_manager_that_cannot_reach_the_checkpoints_waits_for_them() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    let (session, bring_back) = follow_without_checkpoints(&sandbox, &run);
    check_waits(run, session, bring_back, "Not a directory");
}

#[test]
fn a_job_manager_that_finds_no_checkpoints_where_there_were_some_waits_for_them() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    let aside = sandbox.at("aside");
    fs::create_dir(&aside).unwrap();
    let (session, bring_back) = follow_with(&sandbox, &run, aside);
    let left_alone = || {
        let place = sandbox.at("checkpoints");
        assert_eq!(fs::read_dir(place).unwrap().count(), 0, "nothing is written where a volume is to be mounted");
        bring_back();
    };
    check_waits(run, session, left_alone, "is the volume not mounted");
}

#[test]
fn a_job_manager_that_finds_older_checkpoints_than_tasks_know_waits_for_theirs() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    run.kill(Role::JobManager);
    sandbox.until_running(Role::JobManager, 0);
    // Nobody removes anything meanwhile.
    let older = sandbox.at("older");
    copy::directory(Path::new(&sandbox.at("checkpoints")), Path::new(&older)).unwrap();
    let session = sandbox.session(&[]);
    session.until_all_run(&run.job);
    let run = Run { sandbox: &sandbox, session, job: run.job, check_output: run.check_output };
    // Not the one that it goes on from.
    let latest = || {
        let checkpoints = run.session.get(&format!("/jobs/{}/checkpoints", run.job));
        checkpoints["latest"]["completed"]["id"].as_u64()
    };
    let before = latest();
    eventually("a later checkpoint", PATIENCE, || match latest() {
        id if id > before => Ok(()),
        id => Err(format!("{id:?}, and it was {before:?}")),
    });
    let (session, bring_back) = follow_with(&sandbox, &run, older);
    check_waits(run, session, bring_back, "know that it is complete");
}

/// Nothing of the job fails, so its list must say it.
#[test]
fn a_job_whose_checkpoints_fail_says_so_in_the_list_until_one_is_complete() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    let shared = Path::new(&sandbox.at("checkpoints")).join(&run.job).join("shared");
    let aside = shared.with_extension("aside");
    let line = || {
        sandbox
            .flott(["list"])
            .success()
            .out
            .lines()
            .find(|line| line.contains("latest checkpoint: "))
            .map(str::to_owned)
    };
    assert_eq!(line(), None);
    fs::rename(&shared, &aside).unwrap();
    fs::write(&shared, "no directory").unwrap();
    let told = eventually("the failure in the list", PATIENCE, || line().ok_or("nothing is said"));
    assert!(told.contains(" has failed: ") && told.contains("the last complete one is "), "{told}");
    fs::remove_file(&shared).unwrap();
    fs::rename(&aside, &shared).unwrap();
    eventually("the list to be quiet", PATIENCE, || line().map_or(Ok(()), Err));
    run.go_on();
    run.check();
}

#[test]
fn a_job_whose_checkpoints_cannot_be_reached_can_be_cancelled() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    let (session, bring_back) = follow_without_checkpoints(&sandbox, &run);
    session.cancel(&run.job);
    session.stop();
    bring_back();
    assert!(!checkpoints(Path::new(&sandbox.at("checkpoints"))).is_empty(), "they stay");
}

#[test]
fn kills_at_any_moment_leave_each_result_there_once() {
    let sandbox = Sandbox::new();
    let run = Run::half_way(&sandbox);
    run.go_on();
    for wait in [150, 400, 700, 50] {
        std::thread::sleep(Duration::from_millis(wait));
        run.kill(Role::JobProcess);
        run.session.until_one_of(&run.job, &["RUNNING", "FINISHED"]);
    }
    run.check();
}

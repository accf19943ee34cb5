//! Processes that are killed: the job starts over, its result is right, and it appears once.

use std::{fs, path::Path};

use flott_tests::{
    book::lines_in,
    eventually::{PATIENCE, eventually},
    program::{check_batch_output, check_output, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};
use nix::sys::signal::Signal;

const RECORDS: u64 = 20_000;
const KEYS: u64 = 50;

/// A job with two workers of one slot each, that is held half-way.
struct HeldJob<'a> {
    sandbox: &'a Sandbox,
    session: Session<'a>,
    job: String,
    hold: String,
    out: String,
}

impl<'a> HeldJob<'a> {
    #[track_caller]
    fn start(sandbox: &'a Sandbox, more: &[&str]) -> Self {
        let session = sandbox.session(&[]);
        let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
        let mut arguments = vec![
            "held".to_owned(),
            format!("records={RECORDS}"),
            format!("keys={KEYS}"),
            format!("hold={hold}"),
            format!("output={out}"),
        ];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
        session.until_all_run(&job);
        sandbox.until_running(Role::JobProcess, 2);
        Self { sandbox, session, job, hold, out }
    }

    /// Waits until none of `killed` is there, and the job runs again with others in their place.
    #[track_caller]
    fn until_recovered(&self, killed: &[Process]) {
        eventually("the job to be hurt", PATIENCE, || {
            let gone = killed.iter().all(Process::is_gone);
            let noticed = gone && !self.session.exceptions(&self.job).is_empty();
            if noticed { Ok(()) } else { Err(self.session.state(&self.job)) }
        });
        self.session.until_all_run(&self.job);
        self.sandbox.until_running(Role::JobProcess, 2);
    }

    /// Lets the job end.
    #[track_caller]
    fn finish(&self) {
        assert!(lines_in(&self.out).is_empty(), "nothing is visible before the end");
        fs::write(&self.hold, "").unwrap();
        self.session.finished(&self.job);
    }
}

#[track_caller]
fn check(role: Role, count: usize) {
    let sandbox = Sandbox::new();
    let job = HeldJob::start(&sandbox, &[]);
    let sockets: Vec<_> =
        sandbox.running(Role::JobProcess).iter().filter_map(|p| p.variable("FLOTT_HOST_SOCKET")).collect();
    assert_eq!(sockets.len(), 2);
    let killed: Vec<_> = sandbox.running(role).into_iter().take(count).collect();
    assert_eq!(killed.len(), count);
    Process::kill_all(&killed);
    job.until_recovered(&killed);
    job.finish();
    check_output(&job.out, RECORDS, KEYS);
    job.session.stop();
    // Outside of the state directory, that is, which a test takes away as a whole.
    for socket in sockets {
        let directory = Path::new(&socket).parent().unwrap();
        assert!(!directory.exists(), "{} is left behind", directory.display());
    }
}

#[test]
fn a_job_process_that_is_killed_is_replaced() {
    check(Role::JobProcess, 1);
}

#[test]
fn all_job_processes_that_are_killed_are_replaced() {
    check(Role::JobProcess, 2);
}

#[test]
fn a_task_manager_that_is_killed_is_replaced() {
    check(Role::TaskManager, 1);
}

#[test]
fn all_task_managers_that_are_killed_are_replaced() {
    check(Role::TaskManager, 2);
}

#[test]
fn a_job_survives_one_loss_after_the_other() {
    let sandbox = Sandbox::new();
    let job = HeldJob::start(&sandbox, &["batch=true"]);
    for role in [Role::JobProcess, Role::TaskManager, Role::JobProcess] {
        let before = job.session.exceptions(&job.job).len();
        let killed = &sandbox.running(role)[..1];
        killed[0].kill();
        eventually("one failure more", PATIENCE, || {
            let now = job.session.exceptions(&job.job).len();
            if now > before { Ok(()) } else { Err(now) }
        });
        job.until_recovered(killed);
    }
    job.finish();
    check_batch_output(&job.out, RECORDS, KEYS);
    job.session.stop();
}

#[test]
fn children_of_a_program_end_when_their_task_manager_is_killed() {
    let sandbox = Sandbox::new();
    let job = HeldJob::start(&sandbox, &["trouble=spawn"]);
    let strays = sandbox.until_running(Role::Other, 1);
    let killed = sandbox.running(Role::TaskManager);
    Process::kill_all(&killed);
    eventually("the child of the lost job process to be gone", PATIENCE, || {
        if strays.iter().all(Process::is_gone) { Ok(()) } else { Err("it runs") }
    });
    job.until_recovered(&killed);
    job.finish();
    job.session.stop();
}

#[test]
fn when_restarts_are_used_up_the_job_fails_and_shows_nothing() {
    let sandbox = Sandbox::with("restart-strategy.fixed-delay.attempts: 1");
    let job = HeldJob::start(&sandbox, &[]);
    let killed = sandbox.running(Role::JobProcess);
    killed[0].kill();
    job.until_recovered(&killed[..1]);
    sandbox.running(Role::JobProcess)[0].kill();
    job.session.until(&job.job, "FAILED");
    let cause = job.session.get(&format!("/jobs/{}/exceptions", job.job)).to_string();
    assert!(cause.contains("SIGKILL"), "{cause}");
    flott_tests::book::nothing_in(&job.out);
    job.session.stop();
}

#[test]
fn of_two_jobs_with_the_same_output_the_second_fails_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let first = HeldJob::start(&sandbox, &[]);
    let (session, hold) = (&first.session, sandbox.at("hold-second"));
    let arguments = ["second".to_owned(), "keys=7".into(), format!("hold={hold}"), format!("output={}", first.out)];
    let second = session.run(&["-d", "-p", "1"], &test_program(), arguments).success().job();
    session.until_all_run(&second);
    first.finish();
    fs::write(&hold, "").unwrap();
    session.until(&second, "FAILED");
    let cause = session.get(&format!("/jobs/{second}/exceptions")).to_string();
    assert!(cause.contains("part-0 of somebody else"), "{cause}");
    check_output(&first.out, RECORDS, KEYS);
    first.session.stop();
}

#[test]
fn a_commit_that_cannot_be_done_whole_shows_nothing() {
    let sandbox = Sandbox::new();
    let job = HeldJob::start(&sandbox, &[]);
    let obstacle = Path::new(&job.out).join("part-1");
    fs::create_dir(&obstacle).unwrap();
    fs::write(&job.hold, "").unwrap();
    job.session.until(&job.job, "FAILED");
    fs::remove_dir(&obstacle).unwrap();
    flott_tests::book::nothing_in(&job.out);
    job.session.stop();
}

#[test]
fn every_restart_strategy_restarts() {
    let strategies: [&[&str]; 3] = [
        &["restart-strategy.type=fixed-delay", "restart-strategy.fixed-delay.attempts=3"],
        &[
            "restart-strategy.type=failure-rate",
            "restart-strategy.failure-rate.max-failures-per-interval=3",
            "restart-strategy.failure-rate.delay=10 ms",
        ],
        &["restart-strategy.type=exponential-delay", "restart-strategy.exponential-delay.initial-backoff=10 ms"],
    ];
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    for (number, strategy) in strategies.iter().enumerate() {
        let (once, out) = (sandbox.at(&format!("once-{number}")), sandbox.at(&format!("out-{number}")));
        let mut options = vec!["-d"];
        options.extend(strategy.iter().flat_map(|setting| ["-D", setting]));
        let arguments = ["a".to_owned(), "trouble=panic".into(), format!("once={once}"), format!("output={out}")];
        let job = session.run(&options, &test_program(), arguments).success().job();
        session.finished(&job);
        assert_eq!(session.exceptions(&job).len(), 1, "{strategy:?}");
        check_output(&out, 1000, 10);
    }
    session.stop();
}

#[test]
fn a_job_manager_that_is_killed_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let before = HeldJob::start(&sandbox, &[]);
    let done_out = sandbox.at("done");
    let done = before.session.submit(&test_program(), ["done", &format!("output={done_out}")]);
    before.session.finished(&done);
    // Whoever runs the finished job again meets a directory that is there, and a file that is not what it was.
    let finished_at = before.session.get(&format!("/jobs/{done}"))["end-time"].clone();
    let part = fs::read_dir(&done_out).unwrap().next().unwrap().unwrap().path();
    fs::write(&part, "mine now\n").unwrap();

    Process::kill_all(&sandbox.running(Role::JobManager));
    sandbox.until_running(Role::JobManager, 0);
    let (job, hold, out) = (before.job.clone(), before.hold.clone(), before.out.clone());
    let address = before.session.address().to_owned();
    drop(before);
    // Every command says so, and nothing runs elsewhere instead.
    let (elsewhere, program) = (format!("output={}", sandbox.at("elsewhere")), test_program());
    let lines: [&[&str]; 6] = [
        &["list"],
        &["list", "--json"],
        &["session", "status"],
        &["run", &program, "a", &elsewhere],
        &["run", "-d", &program, "a", &elsewhere],
        &["cancel", &job],
    ];
    for line in lines {
        let parts: &[&str] = if line[0] == "cancel" { &[&job] } else { &[&address, "does not answer"] };
        let outcome = sandbox.flott(line).refused(3, parts);
        assert!(!outcome.out.contains("No running jobs"), "nobody knows:\n{}", outcome.out);
    }
    assert!(!fs::exists(sandbox.at("elsewhere")).unwrap());

    let session = sandbox.session(&[]);
    assert_eq!(session.state(&done), "FINISHED");
    session.until_all_run(&job);
    sandbox
        .flott(["list", "-a"])
        .success()
        .prints(&[&format!("{job} : held (RUNNING)"), &format!("{done} : done (FINISHED)")]);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    check_output(&out, RECORDS, KEYS);
    assert_eq!(session.get(&format!("/jobs/{done}"))["end-time"], finished_at);
    assert_eq!(fs::read_to_string(&part).unwrap(), "mine now\n");
    session.stop();
}

#[test]
fn everything_that_is_killed_at_once_is_recovered_from_the_store() {
    let sandbox = Sandbox::new();
    let before = HeldJob::start(&sandbox, &[]);
    let (job, hold, out) = (before.job.clone(), before.hold.clone(), before.out.clone());
    drop(before);
    // The JobManager first, so that it starts nothing in their place.
    for role in [Role::JobManager, Role::TaskManager, Role::JobProcess] {
        Process::kill_all(&sandbox.running(role));
    }
    sandbox.until_empty();
    let session = sandbox.session(&[]);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    check_output(&out, RECORDS, KEYS);
    session.stop();
}

/// A TaskManager that stands still for longer than the heartbeat timeout is lost. When it goes on, it and its job process
/// are a second pair of the same identity, and must not do anything to the job.
#[test]
fn a_task_manager_that_was_lost_and_wakes_up_does_no_harm() {
    let sandbox = Sandbox::with("heartbeat.timeout: 1 s\nheartbeat.interval: 100 ms");
    let job = HeldJob::start(&sandbox, &[]);
    let sleepers = sandbox.running(Role::TaskManager);
    let asleep = &sleepers[0];
    asleep.signal(Signal::SIGSTOP);
    eventually("the loss to be noticed", PATIENCE, || {
        let exceptions = job.session.exceptions(&job.job);
        if exceptions.is_empty() { Err("no failure yet") } else { Ok(()) }
    });
    job.session.until_all_run(&job.job);
    asleep.signal(Signal::SIGCONT);
    job.finish();
    check_output(&job.out, RECORDS, KEYS);
    assert_eq!(job.session.state(&job.job), "FINISHED");
    job.session.stop();
}

/// The JobManager is away for longer than its workers wait for it, and comes back with what it knew then.
#[test]
fn a_job_manager_that_stood_still_finds_its_workers_again() {
    let sandbox = Sandbox::with("heartbeat.timeout: 1 s\nheartbeat.interval: 100 ms");
    let job = HeldJob::start(&sandbox, &[]);
    let manager = sandbox.until_running(Role::JobManager, 1).remove(0);
    let logged = |sandbox: &Sandbox| sandbox.logs().matches("not connected to a JobManager").count();
    let before = logged(&sandbox);
    manager.signal(Signal::SIGSTOP);
    eventually("the workers to notice", PATIENCE, || {
        let now = logged(&sandbox);
        if now > before { Ok(()) } else { Err(now) }
    });
    manager.signal(Signal::SIGCONT);
    job.finish();
    check_output(&job.out, RECORDS, KEYS);
    job.session.stop();
}

#[test]
fn workers_of_a_job_manager_that_never_comes_back_end_by_themselves() {
    let sandbox = Sandbox::with("taskmanager.registration.timeout: 2 s");
    let job = HeldJob::start(&sandbox, &[]);
    Process::kill_all(&sandbox.running(Role::JobManager));
    drop(job);
    sandbox.until_empty();
    // Once it is given up, it is as if there had been none.
    sandbox.flott(["list"]).expect(3);
    sandbox.flott(["session", "stop"]).refused(3, &["no session"]);
    sandbox.flott(["list"]).success();
    sandbox.flott(["run", &test_program(), "a"]).success();
}

use std::fs;

use flott_tests::{
    binaries::binary,
    book::{book, check_running, lines_in, words_of},
    eventually::{PATIENCE, eventually},
    program::{check_output, slim},
};
use nix::sys::signal::Signal;

use crate::world::World;

const HERE: [&str; 2] = ["-t", "kubernetes-application"];

#[test]
fn attached_the_cluster_goes_with_its_job() {
    let Some(world) = World::new("attached_the_cluster_goes_with_its_job", "attached", "") else { return };
    let (text, out) = (world.shared("book.txt"), world.output("out"));
    fs::copy(book(), &text).unwrap();
    let program = slim(&binary("wordcount"), world.sandbox.path());
    let line = ["run", "-t", "kubernetes-application", "-p", "2", &program, "--input", &text, "--output", &out];
    world.sandbox.flott(line).success().prints(&["Program execution finished"]);
    check_running(&lines_in(&out), &words_of(&fs::read_to_string(book()).unwrap()));
    world.nothing_is_left();

    // Of a program that fails, too.
    let line = ["run", "-t", "kubernetes-application", "-D", "restart-strategy.type=none"];
    let program = world.program.clone();
    let failing = [&line[..], &[&program, "fails", "trouble=exit"]].concat();
    world.sandbox.flott(failing).expect(2).says(&["failed", "exit"]);
    world.nothing_is_left();
}

#[test]
fn detached_the_cluster_ends_by_itself_and_its_job_can_be_asked_for_a_while() {
    let test = "detached_the_cluster_ends_by_itself_and_its_job_can_be_asked_for_a_while";
    let Some(world) = World::new(test, "detached", "kubernetes.finished-ttl: 20 s") else { return };
    let (out, hold) = (world.output("out"), format!("hold={}", world.shared("hold")));
    let output = format!("output={out}");
    // In the old words, with what is configured.
    let line =
        ["run", "-m", "cluster", "-D", "cluster.backend=kubernetes", "-d", &world.program, "held", &output, &hold];
    let submitted = world.sandbox.flott(line).success().prints(&["Cluster: demo in namespace detached"]);
    let job = submitted.job();
    let here = |line: &[&str]| world.sandbox.flott(line.iter().chain(&HERE).copied());
    eventually("the job to run", PATIENCE, || {
        let listed = here(&["list"]).success().out;
        if listed.contains(&format!("{job} : held (RUNNING)")) { Ok(()) } else { Err(listed) }
    });
    here(&["logs", &job, "--json"]).success().prints(&[".log"]);
    let waiting = ["jobs", "wait", &job, HERE[0], HERE[1]];
    let waiting = world.sandbox.start_flott(waiting);
    fs::write(world.shared("hold"), "").unwrap();
    waiting.end().success().prints(&["Job Runtime"]);
    check_output(&out, 1000, 10);
    world.kubectl(&["wait", "job/demo", "--for=condition=Complete", "--timeout=60s"]);
    here(&["jobs", "wait", &job]).success().prints(&[&format!("job {job} is FINISHED")]);
    here(&["list"]).refused(3, &[&format!("cluster demo has ended: job {job} is FINISHED")]);
    world.nothing_is_left();
}

#[test]
fn a_job_that_is_cancelled_ends_its_cluster_and_the_name_is_free_again() {
    let test = "a_job_that_is_cancelled_ends_its_cluster_and_the_name_is_free_again";
    let Some(world) = World::new(test, "cancelled", "") else { return };
    let here = |line: &[&str]| world.sandbox.flott(line.iter().chain(&HERE).copied());
    let hold = format!("hold={}", world.shared("never"));
    let held = ["run", "-t", "kubernetes-application", "-d", &world.program, "held", &hold];
    let job = world.sandbox.flott(held).success().job();
    world.sandbox.flott(held).refused(
        1,
        &["the cluster id demo is taken in namespace \"cancelled\": a cluster of one job of that name runs"],
    );
    here(&["cancel", &job]).success();
    world.kubectl(&["wait", "job/demo", "--for=condition=Complete", "--timeout=60s"]);
    here(&["jobs", "wait", &job]).expect(4);
    // What has ended does not hold the name.
    let mut second = world.sandbox.start_flott(["run", HERE[0], HERE[1], &world.program, "held", &hold]);
    second.until_printed("Job has been submitted");
    second.until_printed("held: RUNNING");
    second.signal(Signal::SIGINT);
    second.end().expect(4).says(&["cancelling the job and removing its cluster", "was cancelled by an interrupt"]);
    world.nothing_is_left();
}

#[test]
fn a_program_of_the_image_is_planned_where_it_is() {
    let Some(world) = World::new("a_program_of_the_image_is_planned_where_it_is", "image", "") else { return };
    let (text, out) = (world.shared("book.txt"), world.output("out"));
    fs::copy(book(), &text).unwrap();
    let program = "local:///usr/local/bin/wordcount";
    let line = ["run", HERE[0], HERE[1], "-p", "2", "--name", "counted", program, "--input", &text, "--output", &out];
    world.sandbox.flott(line).success().prints(&["Program execution finished"]).says(&["counted: "]);
    check_running(&lines_in(&out), &words_of(&fs::read_to_string(book()).unwrap()));
    world.nothing_is_left();

    let missing = world.sandbox.flott(["run", HERE[0], HERE[1], "local:///opt/missing"]);
    missing.expect(1).says(&["ended", "its last words", "No such file"]);
    world.nothing_is_left();
    world.sandbox.flott(["run", "-m", "cluster", program]).refused(1, &["needs -t kubernetes-application"]);
}

#[test]
fn a_job_manager_that_is_killed_goes_on_with_its_job() {
    let Some(world) = World::new("a_job_manager_that_is_killed_goes_on_with_its_job", "killed", "") else { return };
    let (out, hold) = (world.output("out"), format!("hold={}", world.shared("hold")));
    let output = format!("output={out}");
    let line = ["run", HERE[0], HERE[1], "-d", &world.program, "held", &output, &hold];
    let job = world.sandbox.flott(line).success().job();
    let pods = "jsonpath={.items[*].status.containerStatuses[*]";
    let of_jobmanager = ["get", "pods", "-l", "app.kubernetes.io/component=jobmanager", "-o"];
    let look = |field: &str| world.kubectl(&[&of_jobmanager[..], &[&format!("{pods}.{field}}}")]].concat());
    kill_job_manager(&job);
    eventually("the JobManager to be started again", PATIENCE, || {
        let restarts = look("restartCount");
        if restarts == "0" { Err(restarts) } else { Ok(()) }
    });
    fs::write(world.shared("hold"), "").unwrap();
    eventually("the end of the job", PATIENCE, || {
        let waited = world.sandbox.flott(["jobs", "wait", &job, HERE[0], HERE[1], "--timeout", "60 s"]);
        if waited.status.success() { Ok(()) } else { Err(waited.err) }
    });
    check_output(&out, 1000, 10);
    world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
    world.nothing_is_left();
}

/// The process in the pod is one of this machine.
#[track_caller]
fn kill_job_manager(job: &str) {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pid = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split('\0');
        words.next().is_some_and(|program| program.ends_with("flott"))
            && words.any(|word| word == format!("--await-job={job}"))
    });
    let pid = pid.unwrap_or_else(|| panic!("no JobManager waits for job {job}"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

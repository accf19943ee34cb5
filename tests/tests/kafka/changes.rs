//! Jobs that are stopped, made larger and smaller, and that lose their broker for a while.

use flott::{Environment, ExecutionMode};
use flott_kafka::{KafkaSource, StartFrom, StopAt};
use flott_tests::sandbox::processes::Role;

use crate::stand::{PAUSE_US, RECORDS, Stand, check, until_results};

#[test]
fn a_job_that_is_stopped_with_a_savepoint_goes_on_from_it() {
    let Some(stand) = Stand::new("a savepoint from Kafka to Kafka") else { return };
    let run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, false);
    // The first checkpoint may be there before the first record.
    stand.until_written();
    run.until_checkpoint();
    let stopped =
        stand.sandbox.flott(["stop", &run.job, "-p", &stand.sandbox.at("savepoints"), "--json"]).success().json();
    let savepoint = stopped["location"].as_str().unwrap_or_else(|| panic!("{stopped}")).to_owned();
    let shown = stand.results().len() as u64;
    assert!(shown > 0 && shown < RECORDS, "{shown}");
    // The group is where the job has stopped.
    let left = left_for_group(&stand);
    assert_eq!(left + shown, RECORDS);

    let options = ["-s", &savepoint, "-p", "3"];
    let run = stand.start(run.session, &options, 0, false);
    until_results(&stand, RECORDS);
    stand.sandbox.flott(["stop", &run.job, "-p", &stand.sandbox.at("savepoints")]).success();
    check(&stand, RECORDS);
    assert_eq!(left_for_group(&stand), 0);
    run.session.stop();
}

/// Records behind those that the job's group has read.
fn left_for_group(stand: &Stand) -> u64 {
    let env = Environment::local();
    env.set_mode(ExecutionMode::Streaming);
    let source = KafkaSource::new(&stand.servers, "in", |record| Ok(Some(record.offset())))
        .group("kafka-program")
        .start_from(StartFrom::committed_or_earliest())
        .stop_at(StopAt::Latest);
    let read = env.from_source(source, "left").collect();
    let result = env.execute("left").expect("it can be read");
    result.collected(&read).expect("it was collected").len() as u64
}

/// One of its tasks is killed and does not come back, so that it cannot end what it has open.
#[test]
fn a_job_that_is_cancelled_leaves_nothing_that_readers_wait_for() {
    let Some(stand) = Stand::new("a cancelled job from Kafka to Kafka") else { return };
    let late = ["-D", "restart-strategy.type=fixed-delay", "-D", "restart-strategy.fixed-delay.delay=1 h"];
    let options: Vec<&str> = ["-p", "2"].into_iter().chain(late).collect();
    let run = stand.start(stand.sandbox.session(&["taskmanager.numberOfTaskSlots=1"]), &options, PAUSE_US, false);
    until_results(&stand, 1);
    // The other one makes visible what checkpoints have made certain.
    let process = stand.sandbox.until_running(Role::JobProcess, 2).remove(0);
    process.kill();
    run.session.until(&run.job, "RESTARTING");
    stand.sandbox.flott(["cancel", &run.job]).success();
    let shown = stand.results().len() as u64;
    assert!(shown < RECORDS, "{shown}");
    // Nothing that is written later is seen before what is open has ended.
    stand.write_to("out", 0..4);
    until_results(&stand, shown + 4);
    run.session.stop();
}

#[test]
fn a_job_that_is_rescaled_counts_each_once() {
    let Some(stand) = Stand::new("rescaling from Kafka to Kafka") else { return };
    // It does not end by itself: how far it comes between two rescales is the machine's affair.
    let run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, false);
    for parallelism in ["4", "1", "2"] {
        run.until_checkpoint();
        stand.sandbox.flott(["rescale", &run.job, "-p", parallelism]).success();
        run.session.until_all_run(&run.job);
    }
    until_results(&stand, RECORDS);
    stand.sandbox.flott(["stop", &run.job, "-p", &stand.sandbox.at("savepoints")]).success();
    check(&stand, RECORDS);
    run.session.stop();
}

#[test]
fn a_broker_that_is_started_again_costs_nothing() {
    let Some(mut stand) = Stand::new("a broker that is killed") else { return };
    let mut broker = stand.broker.take().expect("it has one");
    let run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, true);
    run.until_checkpoint();
    broker.kill();
    broker.resume().expect("the broker can be started again");
    run.check();
}

use std::fs;

use flott::{Context, Environment, Failure, FunctionResult, OpenContext, ProcessFunction, RestartStrategy};

use super::{PARALLELISMS, env, run, run_error};

#[derive(Clone, Copy)]
enum How {
    Panic,
    Error,
    Open,
}

/// Fails at record 4000 in its first attempts.
#[derive(Clone)]
struct FailAt {
    how: How,
    times: u32,
    attempt: u32,
}

impl FailAt {
    fn new(how: How, times: u32) -> Self {
        Self { how, times, attempt: 0 }
    }
}

impl ProcessFunction for FailAt {
    type In = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.attempt = ctx.task().attempt.attempt.0;
        match self.how {
            How::Open if self.attempt < self.times => Err("will not open".into()),
            _ => Ok(()),
        }
    }

    fn process(&mut self, record: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.add_to("seen", 1);
        if record == 4_000 && self.attempt < self.times {
            match self.how {
                How::Panic => panic!("on purpose"),
                How::Error => return Err("an error on purpose".into()),
                How::Open => {}
            }
        }
        ctx.emit(record);
        Ok(())
    }
}

fn restarting(env: &Environment, attempts: u32) {
    env.set_restart_strategy(RestartStrategy::FixedDelay { attempts, delay_ms: 1 });
}

#[test]
fn restarts_give_the_output_once() {
    for parallelism in PARALLELISMS {
        for how in [How::Panic, How::Error, How::Open] {
            let directory = tempfile::tempdir().unwrap();
            let output = directory.path().join("out");
            let env = env(parallelism);
            restarting(&env, 10);
            let numbers = env.sequence(1, 10_000).process(FailAt::new(how, 2));
            numbers.key_by(|n| n % 10).count().collect();
            numbers.rebalance().write_text(&output);
            let result = run(&env);
            assert!(result.restarts() >= 2, "{}", result.restarts());
            assert_eq!(result.counter("seen"), 10_000);
            let mut lines: Vec<u64> = fs::read_dir(&output)
                .unwrap()
                .flat_map(|entry| {
                    let text = fs::read_to_string(entry.unwrap().path()).unwrap();
                    text.lines().map(|line| line.parse().unwrap()).collect::<Vec<u64>>()
                })
                .collect();
            lines.sort();
            assert_eq!(lines, (1..=10_000).collect::<Vec<_>>());
        }
    }
}

#[test]
fn restarts_are_bounded() {
    let env = env(2);
    restarting(&env, 2);
    env.sequence(1, 10_000).process(FailAt::new(How::Error, 100)).discard();
    let error = run_error(&env);
    assert!(error.contains("an error on purpose"), "{error}");
}

#[test]
fn a_failure_names_task_subtask_attempt_operator_and_cause() {
    let job = env(1);
    job.sequence(1, 10_000).process(FailAt::new(How::Panic, 1)).name("faulty").discard();
    let error = run_error(&job);
    let place = "Source: Sequence -> faulty -> Sink: Discard (1/1) attempt 0 in faulty on local";
    assert!(error.starts_with(place) && error.contains("on purpose"), "{error}");
}

#[test]
fn fatal_failures_are_not_tried_again() {
    let job = env(1);
    restarting(&job, 1_000_000);
    job.sequence(1, 10)
        .try_map(|n| if n == 5 { Err(Box::new(Failure::user("never").fatal())) } else { Ok(n) })
        .discard();
    assert!(run_error(&job).contains("never"));
}

#[test]
fn a_custom_partitioner_that_errs_is_told() {
    let job = env(2);
    job.sequence(1, 10).partition_custom(|_, subtasks| subtasks).discard();
    let error = run_error(&job);
    assert!(error.contains("chose channel 2, but there are 2"), "{error}");
}

#[test]
fn a_second_execute_is_an_error() {
    let job = env(1);
    job.sequence(1, 2).discard();
    run(&job);
    assert!(run_error(&job).contains("`execute` was called twice"));
}

#[test]
fn jobs_run_on_an_executor_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let job = env(2);
        job.sequence(1, 10).discard();
        run(&job);
    });
}

//! The jobs of a scenario: the first, and those that go on from the savepoint of one that was stopped.

use std::time::Instant;

use serde_json::Value;

use super::{LOOK, OUTPUTS, Run, Scenario, arguments};
use crate::{
    binaries::binary,
    chaos::{oracle::Output, plan::JOB_SECONDS},
    command::Running,
};

impl Scenario<'_> {
    /// Starts a job, from a savepoint if one is given.
    #[track_caller]
    pub(super) fn submit(&mut self, from: Option<&str>, parallelism: u64) {
        let output = self.sandbox.path().join(OUTPUTS).join(self.runs.len().to_string());
        let parallelism = parallelism.to_string();
        let mut options = vec!["-d", "-p", &parallelism];
        options.extend(from.iter().flat_map(|path| ["-s", path]));
        let paced = format!("seconds={JOB_SECONDS}");
        let arguments = arguments(self.plan, &output).into_iter().chain([paced]);
        let address = self.rest().expect("jobs are submitted when there is a JobManager").address();
        let job = self.sandbox.run_at(address, &options, &binary("chaos-program"), arguments).success().job();
        self.tell(format_args!("job {job}{}", from.map_or(String::new(), |path| format!(" from {path}"))));
        self.runs.push(Run { job, output, stops: Vec::new() });
    }

    #[track_caller]
    pub(super) fn has_finished(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        let Some(rest) = self.rest() else { return false };
        let (job, key) = (self.job(), (self.lives, self.runs.len()));
        let checkpoints = rest.try_get(&format!("/v1/jobs/{job}/checkpoints")).body;
        let exceptions = rest.try_get(&format!("/v1/jobs/{job}/exceptions")).body;
        let state = rest.state(job);
        self.looked = Instant::now();
        let completed = checkpoints["counts"]["completed"].as_u64().unwrap_or_default();
        let failures = exceptions["exceptionHistory"]["entries"].as_array().map_or(0, Vec::len) as u64;
        let counts = self.counts.entry(key).or_default();
        *counts = (counts.0.max(completed), counts.1.max(failures));
        if state == "RUNNING" {
            self.seen_running = Some(key);
        }
        assert!(!["FAILED", "CANCELED"].contains(&state.as_str()), "the job has ended as {state}: {exceptions}");
        state == "FINISHED"
    }

    /// Whether the job that has finished is the last one: it was not stopped, or nothing is left to do.
    #[track_caller]
    pub(super) fn is_over(&mut self, expected: &Output) -> bool {
        let location = self.stopping.take().and_then(|client| self.stopped(client));
        let outputs: Vec<_> = self.runs.iter().map(|run| run.output.clone()).collect();
        let output = Output::read(&outputs);
        let differences = output.differences(expected);
        if differences.is_empty() && location.is_none() {
            self.tell("the job has finished");
            return true;
        }
        // It has been stopped, though whoever asked for it may not have heard.
        let run = self.runs.last().expect("a job has been submitted");
        let left =
            run.stops.iter().rev().find_map(|(directory, next)| Some((self.store.complete_in(directory)?, *next)));
        let next = run.stops.last().map(|(_, next)| *next);
        match location.zip(next).or(left) {
            Some((path, parallelism)) => {
                self.tell(format_args!("the job has been stopped with {path}"));
                // A new job that cannot reach it would fail.
                self.mend_disks();
                self.submit(Some(&path), parallelism);
                false
            }
            None => panic!("the job has finished, and what it shows is not right:\n{}", differences.join("\n")),
        }
    }

    /// Where the savepoint is that the job was stopped with, as its client says.
    #[track_caller]
    pub(super) fn stopped(&mut self, client: Running) -> Option<String> {
        let outcome = client.end();
        self.tell(format_args!("flott stop: {} {}{}", outcome.status, outcome.out.trim(), outcome.err.trim()));
        let said: Value = serde_json::from_str(&outcome.out).ok()?;
        outcome.status.success().then(|| said["location"].as_str().map(str::to_owned))?
    }

    pub(super) fn hear_clients(&mut self) {
        let asking = std::mem::take(&mut self.asking);
        for mut asked in asking {
            match asked.client.has_ended() {
                Some(status) => {
                    let printed = format!("{} {}", asked.client.out().trim(), asked.client.err().trim());
                    self.tell(format_args!("{}: {status} {}", asked.what, printed.trim()));
                }
                None => self.asking.push(asked),
            }
        }
        let ended = self.stopping.as_mut().and_then(Running::has_ended);
        // If the job has finished it is asked for the place of the savepoint.
        if ended.is_some_and(|status| !status.success())
            && let Some(client) = self.stopping.take()
        {
            self.stopped(client);
        }
    }
}

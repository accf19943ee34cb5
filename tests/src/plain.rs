//! A job of [the test program](crate::program) that has no state but the position of its source: numbers in splits that stop
//! half-way until a file appears.

use std::fs;

use crate::{
    command::Outcome,
    eventually::{PATIENCE, eventually},
    program::test_program,
    rest::Rest,
    sandbox::{Sandbox, Session},
};

/// Its numbers.
pub const RECORDS: u64 = 20_000;

/// Such a job.
pub struct PlainJob<'a> {
    sandbox: &'a Sandbox,
    /// Its cluster.
    pub session: Session<'a>,
    /// Its id.
    pub job: String,
}

/// What the current attempts of a job's source have read.
pub fn records_read(rest: &Rest, job: &str) -> u64 {
    let details = rest.try_get(&format!("/v1/jobs/{job}")).body;
    details["vertices"][0]["metrics"]["read-records"].as_u64().unwrap_or(0)
}

impl<'a> PlainJob<'a> {
    /// One that has read the first half of each split, and waits.
    #[track_caller]
    pub fn start(sandbox: &'a Sandbox) -> Self {
        let session = sandbox.session(&[]);
        let job = session.run(&["-d", "-p", "2"], &test_program(), Self::arguments(sandbox)).success().job();
        session.until_all_run(&job);
        eventually("half of the records to be read", PATIENCE, || {
            let read = records_read(&session, &job);
            if read == RECORDS / 2 { Ok(()) } else { Err(read) }
        });
        Self { sandbox, session, job }
    }

    fn arguments(sandbox: &Sandbox) -> Vec<String> {
        let hold = sandbox.at("hold");
        ["held", "plain=true", &format!("records={RECORDS}"), &format!("hold={hold}")].map(str::to_owned).to_vec()
    }

    /// What REST says of its checkpoints.
    #[track_caller]
    pub fn checkpoints(&self) -> serde_json::Value {
        self.session.get(&format!("/v1/jobs/{}/checkpoints", self.job))
    }

    /// Lets splits go on to their end.
    pub fn release(&self) {
        fs::write(self.sandbox.at("hold"), "").expect("the sandbox can be written to");
    }

    /// Runs the same program from `path`, which is whose `claim_mode` says, for as long as it takes.
    #[track_caller]
    pub fn run(&self, path: &str, claim_mode: &str) -> Outcome {
        let options = ["-p", "2", "-s", path, "--claimMode", claim_mode];
        self.session.run(&options, &test_program(), Self::arguments(self.sandbox))
    }

    /// Begins the same program there; gives the id of a job that runs.
    #[track_caller]
    pub fn begin_from(&self, path: &str, claim_mode: &str) -> String {
        let options = ["-d", "-p", "2", "-s", path, "--claimMode", claim_mode];
        let job = self.session.run(&options, &test_program(), Self::arguments(self.sandbox)).success().job();
        self.session.until_all_run(&job);
        job
    }

    /// Runs the same program from `path` to its end; gives the id of that job.
    #[track_caller]
    pub fn run_from(&self, path: &str) -> String {
        self.release();
        let options = ["-d", "-p", "2", "-s", path];
        let job = self.session.run(&options, &test_program(), Self::arguments(self.sandbox)).success().job();
        self.session.finished(&job);
        job
    }
}

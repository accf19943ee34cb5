//! Clusters of a sandbox: a session, or JobManagers by themselves.

use std::ops::Deref;

use super::Sandbox;
use crate::{
    binaries::binary,
    command::{Outcome, Running},
    rest::Rest,
};

/// A session that runs. It has to be [stopped](Self::stop): what is left running fails the test.
pub struct Session<'a> {
    sandbox: &'a Sandbox,
    rest: Rest,
}

impl Deref for Session<'_> {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Sandbox {
    /// Starts a session with these settings.
    #[track_caller]
    pub fn session(&self, settings: &[&str]) -> Session<'_> {
        let defines = settings.iter().flat_map(|setting| ["-D", setting]);
        let outcome = self.flott(["session", "start"].into_iter().chain(defines)).success();
        Session { sandbox: self, rest: Rest::new(&outcome.address()) }
    }

    /// `flott run -m ADDRESS options… program arguments…`
    #[track_caller]
    pub fn run_at<A: AsRef<str>>(
        &self,
        address: &str,
        options: &[&str],
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Outcome {
        let mut line: Vec<String> = ["run", "-m", address].map(str::to_owned).to_vec();
        line.extend(options.iter().map(|&option| option.to_owned()));
        line.push(program.to_owned());
        line.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self.flott(line)
    }

    /// Starts a JobManager of several, with a state directory of its own by this name.
    #[track_caller]
    pub fn jobmanager(&self, name: &str) -> (Running, Rest) {
        let state = self.at(&format!("state/{name}"));
        let mut running = self.start(self.command(&binary("flott"), ["--state-dir", &state, "jobmanager"]));
        let listens = "the JobManager listens on http://";
        running.until_printed(listens);
        let err = running.err();
        let address = err.split(listens).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        let rest = Rest::new(address);
        (running, rest)
    }
}

impl Session<'_> {
    /// Submits a job, detached; gives its id.
    #[track_caller]
    pub fn submit<A: AsRef<str>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> String {
        self.run(&["-d"], program, arguments).success().job()
    }

    /// `flott run -m ADDRESS options… program arguments…`
    #[track_caller]
    pub fn run<A: AsRef<str>>(
        &self,
        options: &[&str],
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Outcome {
        self.sandbox.run_at(self.rest.address(), options, program, arguments)
    }

    /// Ends the session, and wants everything of it to be gone.
    #[track_caller]
    pub fn stop(self) {
        self.sandbox.flott(["session", "stop"]).success();
        self.sandbox.until_empty();
    }
}

//! The JobManagers of a scenario: one, which is started again when it was killed; or several, of which one leads.

use std::process::ExitStatus;

use reqwest::Method;

use super::Plan;
use crate::{
    command::Running,
    eventually::{PATIENCE, eventually},
    rest::Rest,
    sandbox::{Sandbox, Session},
};

/// The exit code of one that does not lead any more.
const DEPOSED: i32 = 75;
/// The cluster's, where there are several.
const CLUSTER_ID: &str = "chaos";
/// When the others take a silent leader's place, in milliseconds.
pub(super) const LEASE_MS: u64 = 2_000;

pub(super) enum JobManagers<'a> {
    /// None while it is not there.
    One(Option<Session<'a>>),
    Several(Vec<Member>),
}

/// One of several.
pub(super) struct Member {
    name: String,
    /// None while it is not there.
    running: Option<Running>,
    rest: Rest,
}

/// Lines of the configuration.
pub(super) fn configuration(sandbox: &Sandbox, plan: &Plan) -> String {
    if plan.standbys == 0 {
        return String::new();
    }
    format!(
        "high-availability.type: storage\n\
         high-availability.storageDir: {}\n\
         high-availability.cluster-id: {CLUSTER_ID}\n\
         high-availability.leader-election.lease-duration: {LEASE_MS} ms\n\
         high-availability.leader-election.renew-deadline: 1500 ms\n\
         high-availability.leader-election.retry-period: 200 ms\n",
        sandbox.at("shared")
    )
}

/// Where the address of the one that leads is written.
pub(super) fn address_file(sandbox: &Sandbox, plan: &Plan) -> String {
    match plan.standbys {
        0 => sandbox.at("state/session/jobmanager.address"),
        _ => sandbox.at(&format!("shared/{CLUSTER_ID}/address")),
    }
}

impl<'a> JobManagers<'a> {
    #[track_caller]
    pub(super) fn start(sandbox: &'a Sandbox, plan: &Plan) -> Self {
        if plan.standbys == 0 {
            return Self::One(Some(sandbox.session(&[])));
        }
        let member = |number| {
            let name = format!("jobmanager-{number}");
            let (running, rest) = sandbox.jobmanager(&name);
            Member { name, running: Some(running), rest }
        };
        let members: Vec<Member> = (0..=plan.standbys).map(member).collect();
        eventually("a JobManager that leads", PATIENCE, || {
            let answer = members[0].rest.try_get("/overview");
            if answer.status == 200 { Ok(()) } else { Err(answer.body) }
        });
        Self::Several(members)
    }

    /// One of those that are there, if any is.
    pub(super) fn rest(&self) -> Option<&Rest> {
        match self {
            Self::One(session) => session.as_deref(),
            Self::Several(members) => members.iter().find(|member| member.running.is_some()).map(|member| &member.rest),
        }
    }

    /// Options by which a client finds them.
    pub(super) fn options(&self) -> Vec<String> {
        match self {
            // By the file, which also leads to one that is started later.
            Self::One(_) => Vec::new(),
            Self::Several(_) => {
                let rest = self.rest();
                rest.map(|rest| vec!["-m".to_owned(), rest.address().to_owned()]).unwrap_or_default()
            }
        }
    }

    /// Notes that a process is dead. Gives the name by which it is started again.
    pub(super) fn lost(&mut self, pid: i32) -> String {
        match self {
            Self::One(session) => {
                *session = None;
                String::new()
            }
            Self::Several(members) => {
                let is_it = |running: &Running| running.pid().cast_signed() == pid;
                let lost = members.iter_mut().find(|member| member.running.as_ref().is_some_and(is_it));
                lost.map_or_else(String::new, |member| {
                    member.running = None;
                    member.name.clone()
                })
            }
        }
    }

    #[track_caller]
    pub(super) fn start_again(&mut self, sandbox: &'a Sandbox, name: &str) {
        match self {
            Self::One(session) => *session = Some(sandbox.session(&[])),
            Self::Several(members) => {
                let member = members.iter_mut().find(|member| member.name == name).expect("it was there before");
                let (running, rest) = sandbox.jobmanager(name);
                (member.running, member.rest) = (Some(running), rest);
            }
        }
    }

    /// Those that were deposed, and have ended because of that, by their names.
    #[track_caller]
    pub(super) fn deposed(&mut self) -> Vec<String> {
        let Self::Several(members) = self else { return Vec::new() };
        let mut deposed = Vec::new();
        for member in members {
            let ended: Option<ExitStatus> = member.running.as_mut().and_then(Running::has_ended);
            if let Some(status) = ended {
                let said = member.running.take().map(|running| running.err()).unwrap_or_default();
                assert_eq!(status.code(), Some(DEPOSED), "{} has ended by itself:\n{said}", member.name);
                deposed.push(member.name.clone());
            }
        }
        deposed
    }

    /// Ends the cluster.
    #[track_caller]
    pub(super) fn stop(self, sandbox: &Sandbox) {
        match self {
            Self::One(session) => session.expect("there is a JobManager").stop(),
            Self::Several(members) => {
                let there: Vec<_> =
                    members.into_iter().filter_map(|member| Some((member.running?, member.rest))).collect();
                let shuts_down =
                    |rest: &Rest| rest.request(Method::DELETE, "/cluster", |request| request).status == 200;
                // Another may have to take the place of one that was just deposed.
                eventually("a JobManager that shuts the cluster down", PATIENCE, || {
                    if there.iter().any(|(_, rest)| shuts_down(rest)) { Ok(()) } else { Err("none does") }
                });
                for (running, _) in there {
                    let outcome = running.end();
                    assert!(matches!(outcome.status.code(), Some(0 | DEPOSED)), "{}: {}", outcome.line, outcome.err);
                    assert!(!outcome.err.contains("panicked at"), "{}: {}", outcome.line, outcome.err);
                }
                sandbox.until_empty();
            }
        }
    }
}

//! What is done to a cluster.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::{
    Asking, Due, Scenario, Worker,
    jobmanagers::{self, LEASE_MS},
};
use crate::{
    chaos::plan::{Disturbance, Outage, Target},
    command::Running,
    proxy::Proxy,
    sandbox::processes::{Process, Role},
};

impl Scenario<'_> {
    #[track_caller]
    pub(super) fn act(&mut self, due: Due) {
        match due {
            Due::Step(place) => {
                let step = self.plan.steps[place].what.clone();
                self.disturb(step);
            }
            Due::Thaw(process) => {
                process.signal(Signal::SIGCONT);
                self.frozen.retain(|frozen| *frozen != process);
                self.tell(format_args!("{:?} {} goes on", process.role, process.pid));
            }
            Due::StartJobManager(name) => {
                self.jobmanagers.start_again(self.sandbox, &name);
                self.lives += 1;
                self.tell(format_args!("there is a JobManager again {name}"));
            }
            Due::StartWorker(name) => self.start_worker(name),
            Due::MendStore => {
                self.store.mend();
                self.tell("checkpoints can be written again");
            }
            Due::EmptyOutputs => {
                self.outputs.iter().for_each(|disk| disk.empty());
                self.tell("results can be written again");
            }
            Due::MendNetwork(name) => {
                if let Some(network) = self.networks.get(&name) {
                    network.open();
                    network.flow();
                }
                self.tell(format_args!("{name} reaches the JobManager again"));
            }
        }
    }

    #[track_caller]
    pub(super) fn disturb(&mut self, step: Disturbance) {
        self.tell(&step);
        match step {
            Disturbance::Kill { targets, away_ms } => self.kill(&targets, away_ms),
            Disturbance::Freeze { target, for_ms } => {
                let Some(process) = self.find(target) else { return self.tell("there is none") };
                process.signal(Signal::SIGSTOP);
                self.tell(format_args!("{:?} {} is frozen", process.role, process.pid));
                if process.role == Role::JobManager {
                    self.await_leader();
                }
                self.frozen.push(process.clone());
                self.after(for_ms, Due::Thaw(process));
            }
            Disturbance::Savepoint => {
                let (job, directory) = (self.job().to_owned(), self.savepoint_directory());
                let client = self.start_client(["savepoint", &job, &directory, "--json"]);
                self.asking.push(Asking { client, what: "flott savepoint" });
            }
            Disturbance::Stop { parallelism } => {
                if self.stopping.is_some() {
                    return self.tell("it is being stopped already");
                }
                let (job, directory) = (self.job().to_owned(), self.savepoint_directory());
                self.stopping = Some(self.start_client(["stop", "-p", &directory, &job, "--json"]));
                self.runs.last_mut().expect("a job has been submitted").stops.push((directory, parallelism));
            }
            Disturbance::Rescale { parallelism } => {
                let (job, parallelism) = (self.job().to_owned(), parallelism.to_string());
                let client = self.start_client(["rescale", &job, "-p", &parallelism, "--json"]);
                self.asking.push(Asking { client, what: "flott rescale" });
            }
            Disturbance::Bound { upper } => self.bound(upper),
            Disturbance::BreakStore { how, for_ms } => {
                if self.has_broken_store() || !self.store.break_by(how) {
                    return self.tell("that cannot be done now");
                }
                self.after(for_ms, Due::MendStore);
            }
            Disturbance::FillOutputs { for_ms } => {
                let Some(disk) = self.outputs else { return self.tell("that cannot be done here") };
                disk.fill();
                self.after(for_ms, Due::EmptyOutputs);
            }
            Disturbance::BreakNetwork { place, how } => self.break_network(place, how),
        }
    }

    fn break_network(&mut self, place: u64, how: Outage) {
        let place = place as usize % self.networks.len().max(1);
        let Some((name, network)) = self.networks.iter().nth(place) else {
            return self.tell("that cannot be done here");
        };
        let name = name.clone();
        let (what, for_ms) = match how {
            Outage::Torn => (format!("{} connections of {name} are torn", network.tear()), None),
            Outage::Away { for_ms } => {
                network.close();
                (format!("{name} is cut off"), Some(for_ms))
            }
            Outage::Silent { for_ms } => {
                network.swallow();
                (format!("{name} is not heard"), Some(for_ms))
            }
        };
        self.tell(what);
        if let Some(for_ms) = for_ms {
            self.after(for_ms, Due::MendNetwork(name));
        }
    }

    /// A client of whoever answers.
    fn start_client<'b>(&self, line: impl IntoIterator<Item = &'b str>) -> Running {
        let options = self.jobmanagers.options();
        self.sandbox.start_flott(line.into_iter().map(str::to_owned).chain(options))
    }

    /// Those of several JobManagers that were deposed begin anew, as whoever runs them would see to.
    #[track_caller]
    pub(super) fn start_deposed(&mut self) {
        for name in self.jobmanagers.deposed() {
            self.tell(format_args!("{name} was deposed"));
            self.after(0, Due::StartJobManager(name));
        }
    }

    /// A JobManager has been disturbed: of several another one may lead soon, and until then requests would wait, and this with them.
    fn await_leader(&mut self) {
        self.lives += 1;
        if self.plan.standbys > 0 {
            self.looked = Instant::now() + Duration::from_millis(LEASE_MS);
        }
    }

    /// Gives every vertex of the job bounds.
    fn bound(&mut self, upper: u64) {
        let Some(rest) = self.rest() else {
            return self.tell("nobody is there to ask");
        };
        let path = format!("/v1/jobs/{}/resource-requirements", self.job());
        let vertices = rest.try_get(&path).body;
        let bounds = json!({ "parallelism": { "lowerBound": 1, "upperBound": upper } });
        let asked: serde_json::Map<_, _> =
            vertices.as_object().into_iter().flatten().map(|(id, _)| (id.clone(), bounds.clone())).collect();
        let answer = rest.request(Method::PUT, &path, |request| request.json(&asked));
        self.tell(format_args!("PUT {path}: {} {}", answer.status, answer.body));
    }

    #[track_caller]
    pub(super) fn mend_disks(&mut self) {
        let broken = |_: &(u64, u64), due: &mut Due| matches!(due, Due::MendStore | Due::EmptyOutputs);
        let mending: Vec<_> = self.due.extract_if(.., broken).collect();
        mending.into_iter().for_each(|(_, due)| self.act(due));
    }

    pub(super) fn has_broken_store(&self) -> bool {
        self.due.values().any(|due| matches!(due, Due::MendStore))
    }

    pub(super) fn savepoint_directory(&mut self) -> String {
        self.savepoints += 1;
        self.store.savepoints(self.savepoints)
    }

    pub(super) fn find(&self, target: Target) -> Option<Process> {
        let mut found = self.sandbox.running(target.role);
        if found.is_empty() {
            return None;
        }
        let place = target.place as usize % found.len();
        Some(found.swap_remove(place))
    }

    #[track_caller]
    pub(super) fn kill(&mut self, targets: &[Target], away_ms: u64) {
        let mut victims: Vec<_> = targets.iter().filter_map(|target| self.find(*target)).collect();
        victims.dedup();
        Process::kill_all(&victims);
        self.frozen.retain(|process| !victims.contains(process));
        for victim in victims {
            self.tell(format_args!("{:?} {} is dead", victim.role, victim.pid));
            if victim.role == Role::JobManager {
                let name = self.jobmanagers.lost(victim.pid);
                self.await_leader();
                self.after(away_ms, Due::StartJobManager(name));
            }
            let is_it = |worker: &Worker| worker.process.pid().cast_signed() == victim.pid;
            if let Some(place) = self.workers.iter().position(is_it) {
                let worker = self.workers.swap_remove(place);
                worker.process.kill();
                self.after(away_ms, Due::StartWorker(worker.name));
            }
        }
    }

    pub(super) fn start_worker(&mut self, name: String) {
        self.started_workers += 1;
        let directory = self.sandbox.at(&format!("state/started/{}", self.started_workers));
        let leader = jobmanagers::address_file(self.sandbox, self.plan);
        let network = self.networks.entry(name.clone()).or_insert_with(|| Proxy::following(&leader));
        let id = format!("taskmanager.resource-id={name}");
        let address = network.address();
        let line = ["taskmanager", "--jobmanager", address, "--work-dir", &directory, "--log-to-file", "-D", &id];
        let process = self.sandbox.start_flott(line);
        self.workers.push(Worker { name, process });
    }
}

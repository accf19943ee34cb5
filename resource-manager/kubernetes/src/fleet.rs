//! Every decision about pods, without I/O or clock: what was asked for and what is seen, in; requests and events, out.
//!
//! What the API server says may be late, repeated, or left out where a watch has a gap. So nothing is concluded from one
//! event: a pod is known by its uid, what has departed stays departed, and after a gap the pods that are not listed any
//! more are gone.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use flott_core::id::WorkerId;
use flott_resource_manager::{
    WorkerSpec,
    backend::{BackendEvent, LossReason, Rejection},
};

use crate::{
    error::ApiError,
    labels,
    observed::ObservedPod,
    reason::{self, Phase},
    template::MAIN_CONTAINER,
};

mod gang;
mod member;
mod relist;
#[cfg(test)]
mod tests;

pub use gang::{Gang, Group};
use member::{Member, PATIENCE, PodId};
use relist::Relist;

/// Pods and names that are over and are remembered.
const DEPARTED_MAX: usize = 4096;

/// What is read of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The worker, as it was asked for.
    pub spec: WorkerSpec,
    /// The pod's name.
    pub name: String,
    /// The pod's identity.
    pub uid: String,
    /// Whether somebody has asked for its end.
    pub is_being_deleted: bool,
    /// Where it is in its life.
    pub phase: Phase,
    /// How it will have ended if it is not seen again.
    pub loss_if_removed: LossReason,
    /// The pods that it is let in with.
    pub group: Option<Group>,
}

impl Facts {
    /// Reads a pod; `None` for one that is no worker's.
    pub fn of(pod: &ObservedPod) -> Option<Self> {
        let annotation = pod.metadata.annotations.as_ref()?.get(labels::WORKER_SPEC)?;
        let spec = serde_json::from_str(annotation).ok()?;
        Some(Self {
            spec,
            name: pod.name().to_owned(),
            uid: pod.metadata.uid.clone()?,
            is_being_deleted: pod.is_being_deleted(),
            phase: reason::phase(pod, MAIN_CONTAINER),
            loss_if_removed: reason::loss_of_removed(pod, MAIN_CONTAINER),
            group: Group::of(pod),
        })
    }
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A worker is asked for.
    Start(WorkerSpec),
    /// A worker shall end.
    Stop(WorkerId),
    /// A request to create a pod is through.
    Created {
        /// Whose.
        worker: WorkerId,
        /// How it went.
        end: CreateEnd,
    },
    /// A request to create a pod fails and is tried again.
    CreateFails {
        /// Whose.
        worker: WorkerId,
        /// How it failed.
        error: ApiError,
    },
    /// A request to delete a pod is through.
    Deleted {
        /// Whose.
        worker: WorkerId,
        /// Whether it was heard; `false` when it was given up.
        heard: bool,
    },
    /// The watch begins anew with a list of everything.
    RelistBegan,
    /// A pod was seen, in such a list or because it changed.
    Seen(Facts),
    /// A pod is not there any more.
    Removed(Facts),
    /// That list is complete.
    RelistEnded,
    /// Everything was listed beside the watch, for whoever asked.
    Listed(Vec<Facts>),
    /// The answer to [`Action::Look`]: uids of all pods.
    Looked(BTreeSet<String>),
    /// Nothing but time has passed.
    Tick,
}

/// How a request to create a pod went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateEnd {
    /// The pod is there.
    Created {
        /// Its name.
        name: String,
        /// Its identity.
        uid: String,
    },
    /// It was called off before it was sent.
    NotSent,
    /// It was given up.
    Failed(ApiError),
}

/// Something shall be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create a pod.
    Create {
        /// Whose.
        spec: WorkerSpec,
        /// The pods that it is let in with.
        group: Option<Group>,
    },
    /// Do not create it, if that is not under way yet.
    CallOff(WorkerId),
    /// Delete a pod.
    Delete {
        /// Whose.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// That very pod.
        uid: String,
    },
    /// List everything, until the API server says.
    Look,
    /// Tell what happened.
    Tell(BackendEvent),
}

/// The pods of a cluster. See the [module](self).
#[derive(Debug)]
pub struct Fleet {
    start_timeout: Duration,
    gang: Option<Gang>,
    /// Groups of which a pod was let in.
    let_in: BTreeSet<String>,
    /// Workers that no pod is asked for before it is known what there is.
    held: BTreeSet<WorkerId>,
    members: BTreeMap<WorkerId, Member>,
    /// Uids of pods whose end was told.
    departed: Recent,
    /// Workers that were given up although their pods may have been created.
    doomed: Recent,
    /// Whether all pods that there are have been seen by the watch.
    synced: bool,
    /// Whether they have been seen at all.
    known: bool,
    /// Workers to be stopped that have not been seen, though they may be there.
    stop_when_seen: BTreeSet<WorkerId>,
    relist: Relist,
    deadlines: BTreeSet<(Instant, WorkerId)>,
    actions: Vec<Action>,
}

impl Fleet {
    /// No pods, and nothing known of what there is. `start_timeout` is how long a pod with a node may take to run, `gang` how
    /// many are let in together by a queue that counts them.
    pub fn new(start_timeout: Duration, gang: Option<Gang>) -> Self {
        Self {
            start_timeout,
            gang,
            let_in: BTreeSet::new(),
            held: BTreeSet::new(),
            members: BTreeMap::new(),
            departed: Recent::default(),
            doomed: Recent::default(),
            synced: false,
            known: false,
            stop_when_seen: BTreeSet::new(),
            relist: Relist::default(),
            deadlines: BTreeSet::new(),
            actions: Vec::new(),
        }
    }

    /// Takes in what happened at `now`; returns what shall be done, in order.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Action> {
        match input {
            Input::Start(spec) => self.start(now, spec),
            Input::Stop(worker) => self.stop(worker),
            Input::Created { worker, end } => self.created(now, &worker, end),
            Input::CreateFails { worker, error } => {
                if let Some(member) = self.members.get_mut(&worker).filter(|member| !member.stop) {
                    let delay = (error.rejection(), format!("{error}; it is tried again"));
                    self.actions.extend(member.tell_delay(delay));
                }
            }
            Input::Deleted { worker, heard } => self.deleted(&worker, heard),
            Input::RelistBegan => self.relist.begin(),
            Input::Seen(facts) => {
                self.relist.shows(&facts.uid);
                self.seen(now, facts);
            }
            Input::Removed(facts) => self.removed(facts),
            Input::RelistEnded => self.relist_ended(),
            Input::Listed(pods) => self.listed(now, pods),
            Input::Looked(uids) => self.looked(&uids),
            Input::Tick => {}
        }
        self.look_at_time(now);
        std::mem::take(&mut self.actions)
    }

    /// When [`Input::Tick`] is due if nothing else happens.
    pub fn next_tick(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Workers whose pods are there and shall stay, in order.
    pub fn workers(&self) -> Vec<WorkerSpec> {
        let staying =
            |member: &&Member| member.pod.is_some() && !member.stop && !member.is_leaving && member.rejected.is_none();
        self.members.values().filter(staying).map(|member| member.spec.clone()).collect()
    }

    fn start(&mut self, now: Instant, spec: WorkerSpec) {
        if self.members.contains_key(&spec.worker) {
            return;
        }
        let mut member = Member::new(now, spec.clone(), self.relist.number());
        member.is_known = true;
        let worker = spec.worker.clone();
        if self.gang.is_some() && !self.known {
            let message = "it is not known yet which TaskManagers there are that it would be let in with";
            self.actions.extend(member.tell_delay((Rejection::Unreachable, message.to_owned())));
            self.members.insert(worker.clone(), member);
            self.held.insert(worker);
            return;
        }
        member.group = self.group_for(&worker);
        let group = member.group.clone();
        self.members.insert(worker, member);
        self.actions.push(Action::Create { spec, group });
    }

    /// It is known what there is.
    fn release(&mut self) {
        self.known = true;
        // They are not among those that there are.
        let held = std::mem::take(&mut self.held);
        let held: Vec<_> = held.into_iter().filter_map(|worker| self.members.remove_entry(&worker)).collect();
        for (worker, mut member) in held {
            // A pod that was seen is that of an earlier try.
            if member.pod.is_none() {
                member.group = self.group_for(&worker);
                self.actions.push(Action::Create { spec: member.spec.clone(), group: member.group.clone() });
            }
            self.members.insert(worker, member);
        }
    }

    fn stop(&mut self, worker: WorkerId) {
        if self.held.remove(&worker) && self.members.get(&worker).is_some_and(|member| member.pod.is_none()) {
            return self.depart(&worker, LossReason::Stopped);
        }
        match self.members.get_mut(&worker) {
            Some(member) => {
                member.stop = true;
                match member.pod {
                    Some(_) => self.actions.extend(member.delete()),
                    None => self.actions.push(Action::CallOff(worker)),
                }
            }
            None if !self.synced => drop(self.stop_when_seen.insert(worker)),
            None => {}
        }
    }

    fn created(&mut self, now: Instant, worker: &WorkerId, end: CreateEnd) {
        // The watch is often faster; a pod that was seen is there, whatever the answer says.
        let Some(member) = self.members.get_mut(worker).filter(|member| member.pod.is_none()) else {
            return;
        };
        match end {
            CreateEnd::Created { name, uid } => {
                member.pod = Some(PodId { name, uid });
                member.since_relist = self.relist.number();
                member.waits_since = now;
                self.deadlines.insert((now + PATIENCE, worker.clone()));
                if member.stop {
                    self.actions.extend(member.delete());
                }
            }
            CreateEnd::NotSent => self.depart(worker, LossReason::Stopped),
            CreateEnd::Failed(error) => {
                if error.may_have_worked() {
                    self.doomed.note(worker.0.clone());
                }
                member.rejected = Some((error.rejection(), error.to_string()));
                if member.stop {
                    member.rejected = None;
                }
                self.depart(worker, LossReason::Stopped);
            }
        }
    }

    fn deleted(&mut self, worker: &WorkerId, heard: bool) {
        let Some(member) = self.members.get_mut(worker) else { return };
        if member.rejected.is_some() {
            return self.depart(worker, LossReason::Stopped);
        }
        // Whoever wants it gone says so again.
        member.delete_asked = heard;
    }

    fn seen(&mut self, now: Instant, facts: Facts) {
        let Facts { spec, name, uid, is_being_deleted, phase, loss_if_removed, group } = facts;
        let worker = spec.worker.clone();
        if self.departed.contains(&uid) {
            return;
        }
        let is_over = matches!(phase, Phase::Ended(_));
        let is_unwanted = is_over || is_being_deleted || self.doomed.contains(&worker.0);
        if !self.members.contains_key(&worker) {
            if is_unwanted {
                // Of an earlier life, or of a request that was given up: nobody waits for it.
                self.departed.note(uid.clone());
                if !is_being_deleted {
                    self.actions.push(Action::Delete { worker, name, uid });
                }
                return;
            }
            self.members.insert(worker.clone(), Member::new(now, spec, self.relist.number()));
        }
        if let Some(group) = group.as_ref().filter(|_| was_let_in(&phase)) {
            self.let_in.insert(group.name.clone());
        }
        let Some(member) = self.members.get_mut(&worker) else { return };
        match &member.pod {
            Some(pod) if pod.uid != uid => return,
            Some(_) => {}
            None => {
                member.pod = Some(PodId { name, uid });
                member.group = group;
                member.since_relist = self.relist.number();
                member.waits_since = now;
                self.deadlines.insert((now + PATIENCE, worker.clone()));
            }
        }
        let leaves = is_being_deleted && !member.is_leaving;
        member.is_leaving |= is_being_deleted;
        member.stop |= self.stop_when_seen.remove(&worker);
        match phase {
            Phase::Waiting(obstacle) => {
                if obstacle.has_node && member.has_node_since.is_none() {
                    member.has_node_since = Some(now);
                    self.deadlines.insert((now + self.start_timeout, worker));
                }
                self.actions.extend(member.hindered(now, obstacle));
            }
            Phase::Running => {
                self.actions.extend(member.is_running());
                if leaves && !member.stop && member.rejected.is_none() {
                    let worker = worker.clone();
                    self.actions.push(Action::Tell(BackendEvent::Leaving { worker, reason: loss_if_removed }));
                }
            }
            Phase::Ended(loss) => return self.depart(&worker, loss),
        }
        if member.stop {
            self.actions.extend(member.delete());
        }
    }

    fn removed(&mut self, facts: Facts) {
        let worker = &facts.spec.worker;
        let is_it = |member: &Member| member.pod.as_ref().is_some_and(|pod| pod.uid == facts.uid);
        if self.members.get(worker).is_some_and(is_it) {
            if let Some(member) = self.members.get_mut(worker) {
                member.is_leaving = true;
            }
            self.depart(worker, facts.loss_if_removed);
        } else {
            // A list that was made before must not bring it back.
            self.departed.note(facts.uid);
        }
    }

    fn listed(&mut self, now: Instant, pods: Vec<Facts>) {
        let workers: Vec<_> = pods.iter().map(|facts| facts.spec.worker.clone()).collect();
        for facts in pods {
            self.seen(now, facts);
        }
        self.release();
        for worker in workers {
            let Some(member) = self.members.get_mut(&worker).filter(|member| !member.is_known) else { continue };
            member.is_known = true;
            // What was said before nobody could place.
            if member.runs {
                self.actions.push(Action::Tell(BackendEvent::Started(worker)));
            } else if let Some((rejection, message)) = member.told.clone() {
                self.actions.push(Action::Tell(BackendEvent::Delayed { worker, rejection, message }));
            }
        }
    }

    /// The end of a worker, told once: as it is given, unless it was wanted or brought about here. A node that was lost under a pod
    /// that was being deleted is told, for it may be why somebody wanted its end.
    fn depart(&mut self, worker: &WorkerId, loss: LossReason) {
        let Some(mut member) = self.members.remove(worker) else { return };
        if !member.is_leaving {
            // What has ended stays until somebody deletes it.
            self.actions.extend(member.delete());
        }
        if let Some(pod) = member.pod {
            self.departed.note(pod.uid);
        }
        let worker = worker.clone();
        self.actions.push(Action::Tell(match member.rejected {
            Some((rejection, message)) => BackendEvent::Rejected { worker, rejection, message },
            None if member.stop && loss.may_be_of_a_stop() => {
                BackendEvent::Lost { worker, reason: LossReason::Stopped }
            }
            None => BackendEvent::Lost { worker, reason: loss },
        }));
    }

    fn look_at_time(&mut self, now: Instant) {
        while let Some((at, _)) = self.deadlines.first() {
            if *at > now {
                return;
            }
            let Some((_, worker)) = self.deadlines.pop_first() else { return };
            let timeout = self.start_timeout;
            if let Some(member) = self.members.get_mut(&worker).filter(|member| member.waits()) {
                self.actions.extend(member.waited(now, timeout));
            }
        }
    }
}

/// Whether a pod waits for no queue any more.
fn was_let_in(phase: &Phase) -> bool {
    match phase {
        Phase::Waiting(obstacle) => obstacle.has_node,
        Phase::Running | Phase::Ended(_) => true,
    }
}

/// The latest of many names.
#[derive(Debug, Default)]
struct Recent {
    names: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Recent {
    fn note(&mut self, name: String) {
        if self.names.insert(name.clone()) {
            self.order.push_back(name);
        }
        if self.order.len() > DEPARTED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

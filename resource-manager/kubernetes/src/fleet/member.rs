//! One worker of a fleet.

use std::time::{Duration, Instant};

use flott_resource_manager::{
    WorkerSpec,
    backend::{BackendEvent, Rejection},
};

use super::{Action, Group};
use crate::reason::Obstacle;

/// What every pod goes through is worth a word when it lasts this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A worker that is on its way, runs, or ends.
#[derive(Debug)]
pub(super) struct Member {
    pub spec: WorkerSpec,
    pub pod: Option<PodId>,
    /// The pods that it is let in with.
    pub group: Option<Group>,
    /// The relist after which the pod was first known.
    pub since_relist: u64,
    pub runs: bool,
    /// It shall end.
    pub stop: bool,
    /// It is given up, and why.
    pub rejected: Option<(Rejection, String)>,
    pub delete_asked: bool,
    /// Somebody has asked for its end.
    pub is_leaving: bool,
    pub waits_since: Instant,
    pub has_node_since: Option<Instant>,
    pub obstacle: Option<Obstacle>,
    /// What was told of a delay.
    pub told: Option<(Rejection, String)>,
    /// Whether whoever listens has asked for it or found it in a list.
    pub is_known: bool,
}

#[derive(Debug, Clone)]
pub(super) struct PodId {
    pub name: String,
    pub uid: String,
}

impl Member {
    pub fn new(now: Instant, spec: WorkerSpec, relist: u64) -> Self {
        Self {
            spec,
            pod: None,
            group: None,
            since_relist: relist,
            runs: false,
            stop: false,
            rejected: None,
            delete_asked: false,
            is_leaving: false,
            waits_since: now,
            has_node_since: None,
            obstacle: None,
            told: None,
            is_known: false,
        }
    }

    /// Whether something is still expected of it.
    pub const fn waits(&self) -> bool {
        !self.runs && !self.stop && self.rejected.is_none()
    }

    /// Asks for its end, once.
    pub fn delete(&mut self) -> Option<Action> {
        let pod = self.pod.as_ref().filter(|_| !self.delete_asked)?;
        self.delete_asked = true;
        Some(Action::Delete { worker: self.spec.worker.clone(), name: pod.name.clone(), uid: pod.uid.clone() })
    }

    pub fn is_running(&mut self) -> Option<Action> {
        let is_news = !std::mem::replace(&mut self.runs, true);
        is_news.then(|| Action::Tell(BackendEvent::Started(self.spec.worker.clone())))
    }

    pub fn hindered(&mut self, now: Instant, obstacle: Obstacle) -> Option<Action> {
        if !self.waits() {
            return None;
        }
        let before = self.obstacle.as_ref();
        if obstacle.is_pause && before.is_some_and(|before| before.rejection == obstacle.rejection) {
            return None;
        }
        let delay = (obstacle.rejection, obstacle.message.clone());
        let is_told = !obstacle.is_usual || self.told.is_some() || now >= self.waits_since + PATIENCE;
        self.obstacle = Some(obstacle);
        if is_told { self.tell_delay(delay) } else { None }
    }

    pub fn tell_delay(&mut self, delay: (Rejection, String)) -> Option<Action> {
        if self.told.as_ref() == Some(&delay) {
            return None;
        }
        self.told = Some(delay.clone());
        let (rejection, message) = delay;
        Some(Action::Tell(BackendEvent::Delayed { worker: self.spec.worker.clone(), rejection, message }))
    }

    /// Time has passed, and it still does not run.
    pub fn waited(&mut self, now: Instant, timeout: Duration) -> Option<Action> {
        let obstacle = self.obstacle.clone();
        if self.has_node_since.is_some_and(|since| now >= since + timeout) {
            let words = obstacle.as_ref().map_or("nothing is known of it", |obstacle| &obstacle.message);
            let message = format!("not running {} s after it was given a node: {words}", timeout.as_secs_f64());
            self.rejected = Some((obstacle.map_or(Rejection::Spawn, |obstacle| obstacle.rejection), message));
            return self.delete();
        }
        let obstacle = obstacle.filter(|_| now >= self.waits_since + PATIENCE)?;
        self.tell_delay((obstacle.rejection, obstacle.message))
    }
}

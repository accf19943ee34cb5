//! What a pod's status means for its worker.

use flott_resource_manager::backend::{LossReason, Rejection};

use crate::observed::{Container, ObservedPod, Terminated};

/// Where a pod is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its container does not run yet.
    Waiting(Obstacle),
    /// Its container runs.
    Running,
    /// Its container runs no more, or never will.
    Ended(LossReason),
}

/// Why a pod does not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What kind.
    pub rejection: Rejection,
    /// In a line.
    pub message: String,
    /// Whether this is what every pod goes through, and only worth a word when it lasts.
    pub is_usual: bool,
    /// Whether it only says that an earlier try is repeated later, not what was wrong with it.
    pub is_pause: bool,
    /// Whether the pod has a node, so that it can be expected to start.
    pub has_node: bool,
}

/// Messages are cut to this many characters.
const MESSAGE_MAX: usize = 500;

/// Reads a pod's status; `main` is the name of its container.
pub fn phase(pod: &ObservedPod, main: &str) -> Phase {
    let container = pod.status.container_statuses.iter().find(|container| container.name == main);
    let terminated = container.and_then(|container| container.state.terminated.as_ref());
    let is_over = matches!(pod.status.phase.as_deref(), Some("Failed" | "Succeeded"));
    if terminated.is_some() || is_over {
        return Phase::Ended(loss(pod, terminated));
    }
    if is_cut_off(pod) {
        return Phase::Ended(loss(pod, None));
    }
    if container.is_some_and(|container| container.state.running.is_some()) {
        return Phase::Running;
    }
    Phase::Waiting(obstacle(pod, main))
}

/// How the worker of a pod ended that is not there any more, as far as its last state tells.
pub fn loss_of_removed(pod: &ObservedPod, main: &str) -> LossReason {
    let container = pod.status.container_statuses.iter().find(|container| container.name == main);
    let terminated = container.and_then(|container| container.state.terminated.as_ref());
    let has_failed = pod.status.phase.as_deref() == Some("Failed") && !pod.is_being_deleted();
    if has_failed || terminated.is_some() || disruption(pod).is_some() {
        loss(pod, terminated)
    } else {
        LossReason::Deleted
    }
}

/// Whether the pod waits for the word of a node that cannot say it.
fn is_cut_off(pod: &ObservedPod) -> bool {
    let target = pod.condition("DisruptionTarget");
    let by_taint = target.is_some_and(|target| target.reason.as_deref() == Some("DeletionByTaintManager"));
    let not_ready = pod.condition("Ready").is_some_and(|ready| ready.status != "True");
    pod.is_being_deleted() && by_taint && not_ready
}

fn loss(pod: &ObservedPod, terminated: Option<&Terminated>) -> LossReason {
    if terminated.and_then(|terminated| terminated.reason.as_deref()) == Some("OOMKilled") {
        return LossReason::OutOfMemory;
    }
    let words = || said(pod.status.reason.as_deref(), pod.status.message.as_deref());
    match pod.status.reason.as_deref() {
        Some("Evicted") => return LossReason::Evicted(short(pod.status.message.as_deref().unwrap_or("by its node"))),
        Some("Preempting") => return LossReason::Preempted(words()),
        Some("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated") => return LossReason::NodeLost(words()),
        Some(_) | None => {}
    }
    if let Some(loss) = disruption(pod) {
        return loss;
    }
    if pod.is_being_deleted() {
        return LossReason::Deleted;
    }
    match terminated {
        Some(terminated) => ended(pod, terminated),
        None => LossReason::Failed(words()),
    }
}

fn ended(pod: &ObservedPod, terminated: &Terminated) -> LossReason {
    let words = || said(terminated.reason.as_deref(), terminated.message.as_deref());
    match (terminated.reason.as_deref(), terminated.signal, terminated.exit_code) {
        (Some("ContainerStatusUnknown"), ..) => LossReason::NodeLost(format!("{} came back without it", node(pod))),
        (Some("StartError" | "ContainerCannotRun"), ..) => LossReason::Failed(words()),
        (_, Some(signal), _) if signal > 0 => LossReason::Killed { signal },
        (.., code @ 129..=192) => LossReason::Killed { signal: code - 128 },
        (.., code) => LossReason::Exited { code },
    }
}

/// What somebody other than the pod itself ended it for.
fn disruption(pod: &ObservedPod) -> Option<LossReason> {
    let target = pod.condition("DisruptionTarget").filter(|target| target.status == "True")?;
    let words = said(None, target.message.as_deref());
    let words = if words.is_empty() { target.reason.clone().unwrap_or_default() } else { words };
    Some(match target.reason.as_deref() {
        Some("PreemptionByScheduler") => LossReason::Preempted(words),
        Some("DeletionByTaintManager" | "DeletionByPodGC") => LossReason::NodeLost(format!("{}: {words}", node(pod))),
        _ => LossReason::Evicted(words),
    })
}

fn obstacle(pod: &ObservedPod, main: &str) -> Obstacle {
    let has_node = pod.spec.node_name.is_some();
    let base = Obstacle {
        rejection: Rejection::Unschedulable,
        message: "no node was looked for yet".into(),
        is_usual: true,
        is_pause: false,
        has_node,
    };
    if !has_node {
        let Some(scheduled) = pod.condition("PodScheduled") else { return base };
        let message = said(None, scheduled.message.as_deref());
        return match scheduled.reason.as_deref() {
            Some("SchedulingGated") => Obstacle { rejection: Rejection::Queued, message, is_usual: false, ..base },
            reason => {
                Obstacle { message: said(reason, Some(&message)), is_usual: false, ..base }.without("Unschedulable: ")
            }
        };
    }
    let containers = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let mut waiting: Vec<_> = containers.filter_map(|container| held_up(container, main)).collect();
    // What cannot go on by itself explains the rest.
    waiting.sort_by_key(|obstacle| obstacle.is_usual);
    match waiting.into_iter().next() {
        Some(obstacle) => Obstacle { message: format!("on {}: {}", node(pod), obstacle.message), ..obstacle },
        None => {
            Obstacle { rejection: Rejection::Spawn, message: format!("{} has not begun with it", node(pod)), ..base }
        }
    }
}

impl Obstacle {
    /// The kind says that already.
    fn without(mut self, prefix: &str) -> Self {
        if let Some(rest) = self.message.strip_prefix(prefix) {
            self.message = rest.to_owned();
        }
        self
    }
}

fn held_up(container: &Container, main: &str) -> Option<Obstacle> {
    let waiting = container.state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or("waiting");
    let words = said(Some(reason), waiting.message.as_deref());
    let (rejection, is_usual, message) = match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => (Rejection::Image, false, format!("image {}: {words}", container.image)),
        "ContainerCreating" | "PodInitializing" => (Rejection::Spawn, true, words),
        _ => (Rejection::Spawn, false, words),
    };
    let message = if container.name == main { message } else { format!("container {}: {message}", container.name) };
    Some(Obstacle { rejection, message, is_usual, is_pause: reason.ends_with("BackOff"), has_node: true })
}

fn node(pod: &ObservedPod) -> String {
    match &pod.spec.node_name {
        Some(node) => format!("node {node}"),
        None => "its node".into(),
    }
}

/// A word and a sentence in one line.
fn said(reason: Option<&str>, message: Option<&str>) -> String {
    match (reason.filter(|text| !text.is_empty()), message.filter(|text| !text.is_empty())) {
        (Some(reason), Some(message)) => short(&format!("{reason}: {message}")),
        (Some(one), None) | (None, Some(one)) => short(one),
        (None, None) => String::new(),
    }
}

/// The text in one line of bounded length.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;

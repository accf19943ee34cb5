use flott_resource_manager::{WorkerShape, backend::Rejection};
use proptest::prelude::*;

use super::*;
use crate::{error::Failure, reason::Obstacle};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A fleet in a world where time stands still until it is moved.
struct World {
    fleet: Fleet,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { fleet: Fleet::new(TIMEOUT, None), now: Instant::now() }
    }

    fn does(&mut self, input: Input) -> Vec<String> {
        self.fleet.handle(self.now, input).into_iter().map(words).collect()
    }

    fn pass(&mut self, duration: Duration) -> Vec<String> {
        let until = self.now + duration;
        let mut said = Vec::new();
        while let Some(at) = self.fleet.next_tick().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            said.extend(self.does(Input::Tick));
        }
        self.now = until;
        said
    }

    /// A worker whose pod is created and seen as `phase`.
    fn with(&mut self, worker: &str, phase: Phase) -> Vec<String> {
        self.does(Input::Start(spec(worker)));
        self.does(created(worker));
        self.does(Input::Seen(pod(worker, phase)))
    }
}

fn words(action: Action) -> String {
    match action {
        Action::Create { spec, group: None } => format!("create {}", spec.worker),
        Action::Create { spec, group: Some(Group { total, .. }) } => format!("create {} of {total}", spec.worker),
        Action::CallOff(worker) => format!("call off {worker}"),
        Action::Look => "look".to_owned(),
        Action::Delete { worker, uid, .. } => format!("delete {worker} ({uid})"),
        Action::Tell(BackendEvent::Started(worker)) => format!("{worker} started"),
        Action::Tell(BackendEvent::Delayed { worker, message, .. }) => format!("{worker} delayed: {message}"),
        Action::Tell(BackendEvent::Leaving { worker, reason }) => format!("{worker} leaves: {reason}"),
        Action::Tell(BackendEvent::Lost { worker, reason }) => format!("{worker} lost: {reason}"),
        Action::Tell(BackendEvent::Rejected { worker, rejection, message }) => {
            format!("{worker} rejected: {rejection}: {message}")
        }
    }
}

fn spec(worker: &str) -> WorkerSpec {
    WorkerSpec::new(WorkerId(worker.into()), WorkerShape::default())
}

fn created(worker: &str) -> Input {
    let end = CreateEnd::Created { name: format!("pod-{worker}"), uid: format!("uid-{worker}") };
    Input::Created { worker: WorkerId(worker.into()), end }
}

fn failed(worker: &str, failure: Failure) -> Input {
    let error = ApiError { verb: "create", resource: "pods".into(), failure };
    Input::Created { worker: WorkerId(worker.into()), end: CreateEnd::Failed(error) }
}

fn stop(worker: &str) -> Input {
    Input::Stop(WorkerId(worker.into()))
}

fn pod(worker: &str, phase: Phase) -> Facts {
    Facts {
        spec: spec(worker),
        name: format!("pod-{worker}"),
        uid: format!("uid-{worker}"),
        is_being_deleted: false,
        phase,
        loss_if_removed: LossReason::Deleted,
        group: None,
    }
}

fn waits(message: &str, is_usual: bool, has_node: bool) -> Phase {
    let (rejection, message) = (Rejection::Spawn, message.to_owned());
    Phase::Waiting(Obstacle { rejection, message, is_usual, is_pause: false, has_node })
}

#[test]
fn asking_twice_creates_once_and_the_watch_may_be_faster_than_the_answer() {
    let mut world = World::new();
    assert_eq!(world.does(Input::Start(spec("a"))), ["create a"]);
    assert!(world.does(Input::Start(spec("a"))).is_empty());
    assert_eq!(world.does(Input::Seen(pod("a", Phase::Running))), ["a started"]);
    assert!(world.does(created("a")).is_empty());
    assert!(world.does(Input::Seen(pod("a", Phase::Running))).is_empty());
    assert_eq!(world.fleet.workers().len(), 1);
}

#[test]
fn a_stop_calls_off_what_was_not_sent_and_deletes_what_is_there() {
    let mut world = World::new();
    world.does(Input::Start(spec("a")));
    assert_eq!(world.does(stop("a")), ["call off a"]);
    let end = CreateEnd::NotSent;
    assert_eq!(world.does(Input::Created { worker: WorkerId("a".into()), end }), ["a lost: stopped as asked"]);
    world.does(Input::Start(spec("b")));
    world.does(stop("b"));
    assert_eq!(world.does(created("b")), ["delete b (uid-b)"]);
    assert!(world.does(stop("b")).is_empty(), "it was asked for already");
    assert_eq!(world.does(Input::Removed(pod("b", Phase::Running))), ["b lost: stopped as asked"]);
    assert!(world.does(stop("never")).is_empty());
}

#[test]
fn a_pod_that_was_deleted_and_has_ended_of_something_else_tells_that() {
    let mut world = World::new();
    let node_lost = || LossReason::NodeLost("node n".into());
    world.with("a", Phase::Running);
    world.does(stop("a"));
    let cut_off = Facts { is_being_deleted: true, ..pod("a", Phase::Ended(node_lost())) };
    assert_eq!(world.does(Input::Seen(cut_off)), ["a lost: lost with its node: node n"]);
    world.with("b", Phase::Running);
    world.does(stop("b"));
    let gone = Facts { is_being_deleted: true, loss_if_removed: node_lost(), ..pod("b", Phase::Running) };
    assert_eq!(world.does(Input::Removed(gone)), ["b lost: lost with its node: node n"]);
    world.with("c", Phase::Running);
    world.does(stop("c"));
    let killed = LossReason::Killed { signal: 9 };
    assert_eq!(world.does(Input::Seen(pod("c", Phase::Ended(killed))))[1..], [] as [String; 0]);
}

#[test]
fn the_end_that_somebody_else_asks_for_is_told_before_it_comes() {
    let mut world = World::new();
    world.with("a", Phase::Running);
    let asked = |loss_if_removed| Facts { is_being_deleted: true, loss_if_removed, ..pod("a", Phase::Running) };
    let evicted = asked(LossReason::Evicted("drained".into()));
    assert_eq!(world.does(Input::Seen(evicted.clone())), ["a leaves: evicted: drained"]);
    assert!(world.does(Input::Seen(evicted.clone())).is_empty(), "once");
    assert_eq!(world.does(Input::Removed(evicted)), ["a lost: evicted: drained"]);

    world.with("b", Phase::Running);
    world.does(stop("b"));
    let own = Facts { is_being_deleted: true, ..pod("b", Phase::Running) };
    assert!(world.does(Input::Seen(own)).is_empty(), "it was asked for here");
}

#[test]
fn a_delete_that_was_not_heard_is_repeated_when_asked_again() {
    let mut world = World::new();
    world.with("a", Phase::Running);
    assert_eq!(world.does(stop("a")), ["delete a (uid-a)"]);
    world.does(Input::Deleted { worker: WorkerId("a".into()), heard: false });
    assert_eq!(world.does(stop("a")), ["delete a (uid-a)"]);
}

#[test]
fn an_ended_pod_is_told_once_and_cleaned_up() {
    let mut world = World::new();
    world.with("a", Phase::Running);
    let ended = pod("a", Phase::Ended(LossReason::OutOfMemory));
    assert_eq!(
        world.does(Input::Seen(ended.clone())),
        ["delete a (uid-a)", "a lost: killed because it was out of memory"]
    );
    assert!(world.does(Input::Seen(ended.clone())).is_empty());
    assert!(world.does(Input::Removed(ended)).is_empty());
}

#[test]
fn usual_waits_are_told_when_they_last_and_obstacles_at_once() {
    let mut world = World::new();
    assert!(world.with("a", waits("creating", true, true)).is_empty());
    assert!(world.pass(Duration::from_millis(4999)).is_empty());
    assert_eq!(world.pass(Duration::from_millis(1)), ["a delayed: creating"]);
    assert_eq!(world.with("b", waits("no volume", false, true)), ["b delayed: no volume"]);
    assert!(world.does(Input::Seen(pod("b", waits("no volume", false, true)))).is_empty());
    assert_eq!(world.does(Input::Seen(pod("b", waits("creating", true, true)))), ["b delayed: creating"]);
    assert_eq!(world.does(Input::Seen(pod("b", Phase::Running))), ["b started"]);
    assert!(world.does(Input::Seen(pod("b", waits("late news", false, true)))).is_empty());
}

#[test]
fn a_pod_with_a_node_is_given_up_after_a_while_and_one_without_is_not() {
    let mut world = World::new();
    world.with("a", waits("no room", false, false));
    assert!(world.pass(TIMEOUT * 100).is_empty());
    world.does(Input::Seen(pod("a", waits("no image", false, true))));
    assert!(world.pass(TIMEOUT - Duration::from_millis(1)).is_empty());
    assert_eq!(world.pass(Duration::from_millis(1)), ["delete a (uid-a)"]);
    assert!(world.fleet.workers().is_empty());
    assert_eq!(
        world.does(Input::Deleted { worker: WorkerId("a".into()), heard: true }),
        ["a rejected: spawn: not running 60 s after it was given a node: no image"]
    );
    assert!(world.does(Input::Removed(pod("a", Phase::Running))).is_empty());
}

#[test]
fn pods_that_a_relist_does_not_show_are_gone_but_not_those_created_meanwhile() {
    let mut world = World::new();
    world.with("a", Phase::Running);
    world.with("b", Phase::Running);
    world.does(Input::RelistBegan);
    world.with("c", Phase::Running);
    world.does(Input::Start(spec("d")));
    world.does(created("d"));
    world.does(Input::Seen(pod("b", Phase::Running)));
    // The last has not been seen yet.
    assert_eq!(world.does(Input::RelistEnded), ["a lost: gone, nothing is known of its end", "look"]);
    let there = ["uid-b", "uid-c", "uid-d"].map(str::to_owned);
    assert!(world.does(Input::Looked(there.into())).is_empty());
    world.does(Input::RelistBegan);
    assert_eq!(world.does(Input::RelistEnded).len(), 3);
}

#[test]
fn a_list_that_was_made_before_does_not_bring_back_what_has_gone() {
    let mut world = World::new();
    world.with("a", Phase::Running);
    world.does(Input::Removed(pod("a", Phase::Running)));
    assert!(world.does(Input::Listed(vec![pod("a", Phase::Running)])).is_empty());
    assert!(world.fleet.workers().is_empty());
    // Nor what nobody here knew.
    world.does(Input::Removed(pod("x", Phase::Running)));
    world.does(Input::Listed(vec![pod("x", Phase::Running)]));
    assert!(world.fleet.workers().is_empty());
}

#[test]
fn pods_that_are_found_while_the_watch_lists_and_gone_before_it_has_are_looked_for() {
    let mut world = World::new();
    // The watch has asked, and somebody else is answered first.
    world.does(Input::RelistBegan);
    let found = ["a", "b", "c"].map(|worker| pod(worker, Phase::Running));
    world.does(Input::Listed(found.to_vec()));
    assert_eq!(world.does(stop("a")), ["delete a (uid-a)"]);
    world.does(Input::Seen(pod("c", Phase::Running)));
    // The first is gone, or the list older than both.
    assert_eq!(world.does(Input::RelistEnded), ["look"]);
    // One that comes meanwhile is looked for by a list of its own.
    world.does(Input::RelistBegan);
    world.does(Input::Seen(pod("b", Phase::Running)));
    world.does(Input::Seen(pod("c", Phase::Running)));
    world.does(Input::Listed(vec![pod("d", Phase::Running)]));
    assert_eq!(world.does(Input::RelistEnded), ["a lost: stopped as asked"]);
    assert_eq!(world.does(Input::Looked(["uid-b", "uid-c"].map(str::to_owned).into())), ["look"]);
    assert!(world.does(Input::Looked(["uid-b", "uid-c", "uid-d"].map(str::to_owned).into())).is_empty());

    world.does(Input::RelistBegan);
    world.does(Input::Seen(pod("b", Phase::Running)));
    world.does(Input::Seen(pod("c", Phase::Running)));
    world.does(Input::Seen(pod("d", Phase::Running)));
    world.does(Input::Listed(vec![pod("e", Phase::Running)]));
    assert_eq!(world.does(Input::RelistEnded), ["look"]);
    assert_eq!(world.does(stop("e")), ["delete e (uid-e)"]);
    let left = ["uid-b", "uid-c", "uid-d"].map(str::to_owned);
    assert_eq!(world.does(Input::Looked(left.into())), ["e lost: stopped as asked"]);
}

#[test]
fn pods_of_a_former_jobmanager_are_adopted_and_what_is_over_is_swept() {
    let mut world = World::new();
    world.does(stop("c"));
    world.does(Input::RelistBegan);
    assert_eq!(world.does(Input::Seen(pod("a", Phase::Running))), ["a started"]);
    let ended = Phase::Ended(LossReason::Exited { code: 1 });
    assert_eq!(world.does(Input::Seen(pod("b", ended))), ["delete b (uid-b)"]);
    let stopped = world.does(Input::Seen(pod("c", Phase::Running)));
    assert_eq!(stopped, ["c started", "delete c (uid-c)"], "it was stopped before it was seen");
    world.does(Input::RelistEnded);
    // Whoever has listed hears again what they could not place before.
    assert_eq!(world.does(Input::Listed(vec![pod("a", Phase::Running)])), ["a started"]);
    assert!(world.does(Input::Listed(vec![pod("a", Phase::Running)])).is_empty());
}

#[test]
fn a_request_that_was_given_up_may_have_worked() {
    let mut world = World::new();
    world.does(Input::Start(spec("a")));
    assert_eq!(
        world.does(failed("a", Failure::Unreachable("late".into()))),
        ["a rejected: unreachable: cannot create pods: the API server is not reached: late"]
    );
    assert_eq!(world.does(Input::Seen(pod("a", Phase::Running))), ["delete a (uid-a)"]);
    world.does(Input::Start(spec("b")));
    assert_eq!(world.does(failed("b", Failure::Quota("full".into()))), ["b rejected: quota: cannot create pods: full"]);
}

/// What may happen, in any order.
fn any_input() -> impl Strategy<Value = (u8, u8)> {
    (0..16u8, 0..4u8)
}

proptest! {
    /// Whatever happens in whatever order: no pod is asked to be deleted twice without an answer in between, after a start
    /// there is an end when everything has gone, and no end without a beginning.
    #[test]
    fn any_history_ends_well(inputs in prop::collection::vec(any_input(), 0..60)) {
        let mut world = World::new();
        let mut open: BTreeSet<String> = BTreeSet::new();
        let note = |open: &mut BTreeSet<String>, said: Vec<String>| {
            for line in said {
                let Some((worker, rest)) = line.split_once(' ') else { continue };
                if rest == "started" {
                    open.insert(worker.to_owned());
                } else if rest.starts_with("lost") || rest.starts_with("rejected") {
                    open.remove(worker);
                }
            }
        };
        for (kind, worker) in inputs {
            let worker = &["a", "b", "c", "d"][usize::from(worker)];
            let said = match kind {
                0 | 1 => world.does(Input::Start(spec(worker))),
                2 => world.does(stop(worker)),
                3 => world.does(created(worker)),
                4 => world.does(failed(worker, Failure::Busy("x".into()))),
                5 => world.does(Input::Seen(pod(worker, waits("x", true, true)))),
                6 => world.does(Input::Seen(pod(worker, waits("y", false, false)))),
                7 => world.does(Input::Seen(pod(worker, Phase::Running))),
                8 => world.does(Input::Seen(pod(worker, Phase::Ended(LossReason::Vanished)))),
                9 => world.does(Input::Removed(pod(worker, Phase::Running))),
                10 => world.does(Input::RelistBegan),
                11 => world.does(Input::RelistEnded),
                12 => world.does(Input::Deleted { worker: WorkerId((*worker).into()), heard: true }),
                13 => world.does(Input::Listed(vec![pod(worker, Phase::Running)])),
                14 => world.does(Input::Looked([format!("uid-{worker}")].into())),
                _ => world.pass(Duration::from_secs(30)),
            };
            note(&mut open, said);
        }
        // All requests come to an end, and nothing is left.
        for worker in ["a", "b", "c", "d"] {
            let said = world.does(failed(worker, Failure::Quota("x".into())));
            note(&mut open, said);
        }
        world.does(Input::RelistBegan);
        let said = world.does(Input::RelistEnded);
        note(&mut open, said);
        world.does(Input::RelistBegan);
        let said = world.does(Input::RelistEnded);
        note(&mut open, said);
        prop_assert!(open.is_empty(), "{open:?}");
        prop_assert!(world.fleet.members.is_empty(), "{:?}", world.fleet.members);
    }
}

/// A fleet of which two are let in together, that knows that there are these.
fn gang(found: Vec<Facts>) -> World {
    let gang = Gang { size: 2, cluster: crate::names::ClusterId::parse("demo").expect("fits") };
    let mut world = World { fleet: Fleet::new(TIMEOUT, Some(gang)), now: Instant::now() };
    world.does(Input::Listed(found));
    world
}

fn of_group(worker: &str, name: &str, phase: Phase) -> Facts {
    Facts { group: Some(Group { name: name.into(), total: 2 }), ..pod(worker, phase) }
}

fn queued() -> Phase {
    let obstacle = Obstacle {
        rejection: Rejection::Queued,
        message: "gated".into(),
        is_usual: false,
        is_pause: false,
        has_node: false,
    };
    Phase::Waiting(obstacle)
}

fn start(worker: &str) -> Input {
    Input::Start(spec(worker))
}

#[test]
fn the_first_pods_are_a_group_and_later_ones_wait_by_themselves() {
    let mut world = gang(Vec::new());
    let groups: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .flat_map(|worker| world.fleet.handle(world.now, start(worker)))
        .map(|action| match action {
            Action::Create { group, .. } => group.map(|group| (group.name, group.total)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(groups[0].is_some() && groups[0] == groups[1], "{groups:?}");
    assert_eq!(groups[2], None);
}

#[test]
fn the_place_of_one_that_was_refused_is_taken_by_the_next() {
    let mut world = gang(Vec::new());
    world.does(start("a"));
    world.does(start("b"));
    world.does(failed("b", Failure::Quota("none left".into())));
    assert_eq!(world.does(start("c")), ["create c of 2"]);
    assert_eq!(world.does(start("d")), ["create d"]);
}

#[test]
fn a_group_that_an_earlier_jobmanager_has_not_filled_is_filled() {
    let mut world = gang(vec![of_group("a", "old", queued())]);
    assert_eq!(world.does(start("b")), ["create b of 2"]);
    assert_eq!(world.fleet.members[&WorkerId("b".into())].group.as_ref().map(|group| &*group.name), Some("old"));
    assert_eq!(world.does(start("c")), ["create c"]);
}

#[test]
fn beside_a_group_that_was_let_in_and_in_the_place_of_what_it_has_lost_pods_wait_by_themselves() {
    let mut world = gang(vec![of_group("a", "old", Phase::Running)]);
    assert_eq!(world.does(start("b")), ["create b"]);
    // Also when none of those that ran is left.
    let mut world = gang(vec![of_group("a", "old", Phase::Running), of_group("b", "old", queued())]);
    world.does(Input::Removed(of_group("a", "old", Phase::Running)));
    assert_eq!(world.does(start("c")), ["create c"]);
}

#[test]
fn when_all_are_lost_the_next_are_another_group() {
    let mut world = gang(vec![of_group("a", "old", Phase::Running)]);
    world.does(Input::Removed(of_group("a", "old", Phase::Running)));
    assert_eq!(world.does(start("b")), ["create b of 2"]);
    assert_eq!(world.does(start("c")), ["create c of 2"]);
    let group = |worker: &str| world.fleet.members[&WorkerId(worker.into())].group.as_ref().map(|group| &*group.name);
    assert!(group("b") == group("c") && group("b") != Some("old"));
}

#[test]
fn nothing_is_asked_for_before_it_is_known_what_it_would_be_let_in_with() {
    let gang = Gang { size: 2, cluster: crate::names::ClusterId::parse("demo").expect("fits") };
    let mut world = World { fleet: Fleet::new(TIMEOUT, Some(gang)), now: Instant::now() };
    let unknown = "delayed: it is not known yet which TaskManagers there are that it would be let in with";
    assert_eq!(world.does(start("b")), [format!("b {unknown}")]);
    assert_eq!(world.does(start("c")), [format!("c {unknown}")]);
    assert_eq!(world.does(stop("c")), ["c lost: stopped as asked"]);
    world.does(Input::RelistBegan);
    world.does(Input::Seen(of_group("a", "old", queued())));
    assert_eq!(world.does(Input::RelistEnded), ["create b of 2"]);

    let gang = world.fleet.gang.clone();
    let mut world = World { fleet: Fleet::new(TIMEOUT, gang), now: Instant::now() };
    for worker in ["a", "b", "c"] {
        world.does(start(worker));
    }
    assert_eq!(world.does(Input::Listed(Vec::new())), ["create a of 2", "create b of 2", "create c"]);
}

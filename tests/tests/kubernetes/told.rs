//! How soon a pod's trouble is told after the API server has told of it.

use std::{
    fs,
    io::BufReader,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use flott_tests::eventually::{PATIENCE, eventually};
use serde_json::{Deserializer, Value, json};

use crate::{
    job::{Job, name},
    world::{Client, World},
};

/// Between two looks, of which each is a request: what is told is seen as much later at most.
const PAUSE: Duration = Duration::from_millis(2);

/// TaskManager pods of a namespace as the API server tells of them, to whoever asks it as the JobManager does.
pub struct Watch {
    kubectl: Child,
    seen: Arc<Mutex<Vec<(Instant, Value)>>>,
}

impl Watch {
    pub fn start(world: &World) -> Self {
        let mut kubectl = world.cluster.kubectl();
        kubectl.args(["-n", world.namespace, "get", "pods", "-l", "app.kubernetes.io/component=taskmanager"]);
        let mut kubectl = kubectl.args(["--watch", "--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let (out, notes) = (kubectl.stdout.take().unwrap(), seen.clone());
        thread::spawn(move || {
            // A pod that is cut off in the middle is that of a kubectl that ends.
            for pod in Deserializer::from_reader(BufReader::new(out)).into_iter::<Value>().map_while(Result::ok) {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), pod));
            }
        });
        Self { kubectl, seen }
    }

    /// The pods of which this was ever true, by name, with the first time.
    pub fn first(&self, is_it: impl Fn(&Value) -> bool) -> Vec<(String, Instant)> {
        let mut found: Vec<(String, Instant)> = Vec::new();
        for (at, pod) in &*self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            let name = name(pod);
            if is_it(pod) && found.iter().all(|(known, _)| *known != name) {
                found.push((name, *at));
            }
        }
        found
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.kill(); // it has ended, or ends now
        let _ = self.kubectl.wait();
    }
}

/// How long after the API server's word something was told.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// In an answer of REST.
    pub rest: Duration,
    /// By `flott list`, which began when REST had told it and has come to its end.
    pub list: Duration,
}

/// Wants `flott list` to print this, and says how long that took.
#[track_caller]
fn list(world: &World, words: &[&str]) -> Duration {
    let began = Instant::now();
    world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().prints(words);
    began.elapsed()
}

/// Looks until there is something.
#[track_caller]
fn look<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        thread::sleep(PAUSE);
    }
}

/// Looks until `told` says something, and how long that was after the API server's word: `is_it`, of the pod that it names.
#[track_caller]
fn delay(watch: &Watch, is_it: impl Fn(&Value) -> bool, mut told: impl FnMut() -> Option<String>) -> Duration {
    let deadline = Instant::now() + PATIENCE;
    let is_of = |text: &str, pod: &str| text.contains(pod.strip_prefix("demo-").unwrap_or(pod));
    let (text, at) = loop {
        let text = told();
        let at = Instant::now();
        match text {
            // What is told of an earlier pod until another one is tried is no news.
            Some(text)
                if text.contains("taskmanager-") && !watch.first(|_| true).iter().any(|(pod, _)| is_of(&text, pod)) => {
            }
            Some(text) => break (text, at),
            None => {}
        }
        assert!(at < deadline, "it is not told");
        thread::sleep(PAUSE);
    };
    eventually(&format!("the API server's word for {text:?}"), PATIENCE, || {
        let seen = watch.first(&is_it);
        // A reason to wait does not name its pod, which is the only one.
        let event =
            if text.contains("taskmanager-") { seen.iter().find(|(pod, _)| is_of(&text, pod)) } else { seen.first() };
        // kubectl may hear of it a little later than the JobManager.
        event.map(|(_, event)| at.saturating_duration_since(*event)).ok_or_else(|| format!("{seen:?}"))
    })
}

/// What pods come to, time and again, in a session of its own with these settings.
struct Trouble<'a> {
    settings: &'a [&'a str],
    /// Whether a pod, as the API server tells of it, is in this trouble.
    is_it: fn(&Value) -> bool,
    /// How the reason begins, and what it has in it.
    words: [&'static str; 2],
}

impl Trouble<'_> {
    /// So often. Each time the pod is of another job, and what was told before is forgotten.
    #[track_caller]
    fn delays(&self, world: &World, times: u32) -> Vec<Told> {
        world.start_session(self.settings);
        let rest = world.rest();
        let told = (0..times).map(|_| {
            let watch = Watch::start(world);
            let job = world.sandbox.flott(waits(world)).success().job();
            let delay = delay(&watch, self.is_it, || reason(&rest, &job, &self.words));
            let told = Told { rest: delay, list: delay + list(world, &self.words) };
            is_no_failure(world, &rest, &job);
            told
        });
        let told = told.collect();
        world.stop_session();
        told
    }
}

/// The command line of a job that never has an end.
fn waits(world: &World) -> [&str; 6] {
    ["run", "-d", "-t", "kubernetes-session", &world.program, "waits"]
}

/// Why a job waits, in these words.
fn reason(rest: &Client, job: &str, words: &[&str]) -> Option<String> {
    let pending = rest.get(&format!("/flott/v1/jobs/{job}/pending"));
    let reasons = pending["reasons"].as_array().cloned().unwrap_or_default();
    let mut texts = reasons.iter().filter_map(|pending| pending["reason"].as_str());
    texts.find(|text| words.iter().all(|word| text.contains(word))).map(str::to_owned)
}

/// Wants a job that waits to have no failure, and ends it.
#[track_caller]
fn is_no_failure(world: &World, rest: &Client, job: &str) {
    assert!(rest.exceptions(job).is_empty(), "it is no failure of the job: {:?}", rest.exceptions(job));
    rest.cancel(job);
    eventually("its pod to be gone", PATIENCE, || {
        let left: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    });
}

/// Pods that the API server does not take, since a `rule` is made. It tells that to nobody else: it counts from the start of the job, which
/// is before.
#[track_caller]
fn refused(world: &World, times: u32, rule: &dyn Fn(), words: [&str; 2]) -> Vec<Told> {
    world.start_session(&[]);
    let rest = world.rest();
    rule();
    let told = (0..times).map(|_| {
        let run = world.sandbox.start_flott(waits(world));
        let (job, since) = look("the job", || {
            let jobs = rest.get("/v1/jobs/overview")["jobs"].as_array().cloned().unwrap_or_default();
            let job = jobs.into_iter().find(|job| job["state"] != "CANCELED")?;
            Some((job["jid"].as_str()?.to_owned(), job["start-time"].as_u64()?))
        });
        look(&format!("{words:?}"), || reason(&rest, &job, &words));
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(since);
        let delay = since.elapsed().expect("there is one clock");
        run.end().success();
        let told = Told { rest: delay, list: delay + list(world, &words) };
        is_no_failure(world, &rest, &job);
        told
    });
    let told = told.collect();
    world.stop_session();
    told
}

pub fn quota(world: &World, times: u32) -> Vec<Told> {
    let rule = || {
        world.kubectl(&["create", "quota", "few", "--hard=pods=1"]);
        eventually("the quota to be in force", PATIENCE, || {
            let counted = world.kubectl(&["get", "quota", "few", "-o=jsonpath={.status.used.pods}"]);
            if counted == "1" { Ok(()) } else { Err(counted) }
        });
    };
    let told = refused(world, times, &rule, ["quota: ", "exceeded quota: few"]);
    world.kubectl(&["delete", "quota", "few"]);
    told
}

/// By pod security, which takes no directory of a node.
pub fn admission(world: &World, times: u32) -> Vec<Told> {
    const LABEL: &str = "pod-security.kubernetes.io/enforce";
    let rule = || {
        world.kubectl(&["label", "namespace", world.namespace, &format!("{LABEL}=baseline")]);
        let on_host = r#"--overrides={"spec":{"hostNetwork":true}}"#;
        let probe = ["run", "probe", "--image=busybox", "--restart=Never", "--dry-run=server", on_host];
        eventually("pod security to be in force", PATIENCE, || match world.try_kubectl(&probe) {
            Ok(taken) => Err(taken),
            Err(error) => {
                if error.contains("PodSecurity") {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        });
    };
    let told =
        refused(world, times, &rule, ["admission: ", "violates PodSecurity \"baseline:latest\": hostPath volumes"]);
    world.kubectl(&["label", "namespace", world.namespace, &format!("{LABEL}-")]);
    told
}

/// Why the first container of a kind waits, or how it has ended.
pub fn container(pod: &Value, kind: &str) -> Value {
    let container = &pod["status"][kind][0]["state"];
    container["waiting"]
        .as_object()
        .or_else(|| container["terminated"].as_object())
        .cloned()
        .map(Value::from)
        .unwrap_or_default()
}

pub fn unschedulable(world: &World, times: u32) -> Vec<Told> {
    let is_it = |pod: &Value| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "Unschedulable")
    };
    let words = ["unschedulable: ", "didn't match Pod's node affinity/selector"];
    Trouble { settings: &["kubernetes.taskmanager.node-selector=disk:none"], is_it, words }.delays(world, times)
}

pub fn image_missing(world: &World, times: u32) -> Vec<Told> {
    let spec = "spec: {initContainers: [{name: first, image: 'lab/missing:1'}], containers: []}";
    let template = world.sandbox.write("first.yaml", spec);
    let setting = format!("kubernetes.pod-template-file.taskmanager={template}");
    let is_it = |pod: &Value| container(pod, "initContainerStatuses")["reason"] == "ErrImagePull";
    Trouble { settings: &[&setting], is_it, words: ["image: ", "lab/missing:1"] }.delays(world, times)
}

pub fn exit_code(world: &World, times: u32) -> Vec<Told> {
    let spec = "spec: {containers: [{name: flott, command: [/bin/sh, -c, exit 7]}]}";
    let template = world.sandbox.write("exits.yaml", spec);
    let setting = format!("kubernetes.pod-template-file.taskmanager={template}");
    let is_it = |pod: &Value| container(pod, "containerStatuses")["exitCode"] == 7;
    Trouble { settings: &[&setting], is_it, words: ["taskmanager-", "exited with code 7"] }.delays(world, times)
}

/// A job that runs and loses its only TaskManager time and again: the reason is that of its failure.
pub struct Victim<'a> {
    world: &'a World,
    job: Job<'a>,
    rest: Client,
    food: String,
}

impl<'a> Victim<'a> {
    #[track_caller]
    pub fn start(world: &'a World) -> Self {
        let food = world.shared("food");
        let restarts = "restart-strategy.fixed-delay.attempts=1000";
        let job = Job::start_with(world, "1", &[restarts], &["trouble=eat", &format!("when={food}")]);
        Self { world, job, rest: world.rest(), food }
    }

    #[track_caller]
    pub fn evicted(&self, times: u32) -> Vec<Told> {
        let is_it = |pod: &Value| is_disrupted(pod, "EvictionByEvictionAPI");
        self.lost(times, &|pod| self.world.evict(pod), &is_it, "evicted: Eviction API")
    }

    /// By a pod that wants to be alone on its node, of a higher priority, and which has ended soon.
    #[track_caller]
    pub fn preempted(&self, times: u32) -> Vec<Told> {
        let class = format!("{}-high", self.world.namespace);
        self.world.kubectl(&["create", "priorityclass", &class, "--value=1000"]);
        let comes_to = |node: &str| {
            let alone = json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": { "generateName": "alone-", "labels": { "app": "alone" } },
                "spec": {
                    "priorityClassName": class,
                    "nodeSelector": { "kubernetes.io/hostname": node },
                    "restartPolicy": "Never",
                    "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
                        "labelSelector": { "matchLabels": { "app.kubernetes.io/component": "taskmanager" } },
                        "topologyKey": "kubernetes.io/hostname",
                    }] } },
                    "containers": [{ "name": "alone", "image": "busybox", "command": ["/bin/true"] }],
                },
            });
            self.world.create(&alone.to_string());
        };
        let end = |pod: &str| comes_to(&self.world.kubectl(&["get", "pod", pod, "-o=jsonpath={.spec.nodeName}"]));
        let is_it = |pod: &Value| is_disrupted(pod, "PreemptionByScheduler");
        let told = self.lost(times, &end, &is_it, "preempted: ");
        self.world.kubectl(&["delete", "priorityclass", &class]);
        told
    }

    /// Where containers have limits of memory.
    #[track_caller]
    pub fn out_of_memory(&self, times: u32) -> Vec<Told> {
        let is_it = |pod: &Value| container(pod, "containerStatuses")["reason"] == "OOMKilled";
        self.lost(times, &|_| fs::write(&self.food, "").unwrap(), &is_it, "it was out of memory")
    }

    #[track_caller]
    fn lost(&self, times: u32, end: &dyn Fn(&str), is_it: &dyn Fn(&Value) -> bool, word: &str) -> Vec<Told> {
        let once = |_| {
            let watch = Watch::start(self.world);
            let victim = name(&self.world.pods("taskmanager")[0]);
            // What ends before that is never seen.
            eventually("the watch to have begun", PATIENCE, || {
                let seen = watch.first(|_| true);
                if seen.iter().any(|(pod, _)| *pod == victim) { Ok(()) } else { Err(format!("{seen:?}")) }
            });
            end(&victim);
            let delay = delay(&watch, is_it, || {
                let newest = self.rest.exceptions(&self.job.id).into_iter().next().unwrap_or_default();
                let report = newest["stacktrace"].as_str().unwrap_or_default();
                let is_told = newest["taskManagerId"] == *victim && report.contains(word);
                is_told.then(|| victim.clone())
            });
            let told = Told { rest: delay, list: delay + list(self.world, &["latest failure: ", &victim, word]) };
            eventually("what has preempted it to have ended", PATIENCE, || {
                let phases =
                    self.world.kubectl(&["get", "pods", "-l=app=alone", "-o=jsonpath={.items[*].status.phase}"]);
                if phases.split(' ').all(|phase| ["", "Succeeded"].contains(&phase)) { Ok(()) } else { Err(phases) }
            });
            self.job.goes_on(&self.rest);
            told
        };
        (0..times).map(once).collect()
    }

    #[track_caller]
    pub fn end(self) {
        self.job.end();
    }
}

fn is_disrupted(pod: &Value, reason: &str) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "DisruptionTarget" && condition["reason"] == reason)
}

//! How soon a pod's trouble is told after the API server has told of it.

use std::{
    fs,
    io::BufReader,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use flott_tests::eventually::{PATIENCE, eventually};
use serde_json::{Deserializer, Value};

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
    fn delays(&self, world: &World, times: u32) -> Vec<Duration> {
        let settings = self.settings.iter().flat_map(|setting| ["-D", setting]);
        world.sandbox.flott(["session", "start", "--backend", "kubernetes"].into_iter().chain(settings)).success();
        let rest = world.rest();
        let delays = (0..times).map(|_| {
            let watch = Watch::start(world);
            let run = ["run", "-d", "-t", "kubernetes-session", &world.program, "waits"];
            let job = world.sandbox.flott(run).success().job();
            let delay = delay(&watch, self.is_it, || self.reason(&rest, &job));
            world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().prints(&self.words);
            assert!(rest.exceptions(&job).is_empty(), "it is no failure of the job: {:?}", rest.exceptions(&job));
            rest.cancel(&job);
            eventually("its pod to be gone", PATIENCE, || {
                let left: Vec<_> = world.pods("taskmanager").iter().map(name).collect();
                if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
            });
            delay
        });
        let delays = delays.collect();
        world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
        world.nothing_is_left();
        delays
    }

    fn reason(&self, rest: &Client, job: &str) -> Option<String> {
        let pending = rest.get(&format!("/flott/v1/jobs/{job}/pending"));
        let reasons = pending["reasons"].as_array().cloned().unwrap_or_default();
        let mut texts = reasons.iter().filter_map(|pending| pending["reason"].as_str());
        texts.find(|text| self.words.iter().all(|word| text.contains(word))).map(str::to_owned)
    }
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

pub fn unschedulable(world: &World, times: u32) -> Vec<Duration> {
    let is_it = |pod: &Value| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "Unschedulable")
    };
    let words = ["unschedulable: ", "didn't match Pod's node affinity/selector"];
    Trouble { settings: &["kubernetes.taskmanager.node-selector=disk:none"], is_it, words }.delays(world, times)
}

pub fn image_missing(world: &World, times: u32) -> Vec<Duration> {
    let spec = "spec: {initContainers: [{name: first, image: 'lab/missing:1'}], containers: []}";
    let template = world.sandbox.write("first.yaml", spec);
    let setting = format!("kubernetes.pod-template-file.taskmanager={template}");
    let is_it = |pod: &Value| container(pod, "initContainerStatuses")["reason"] == "ErrImagePull";
    Trouble { settings: &[&setting], is_it, words: ["image: ", "lab/missing:1"] }.delays(world, times)
}

pub fn exit_code(world: &World, times: u32) -> Vec<Duration> {
    let spec = "spec: {containers: [{name: flott, command: [/bin/sh, -c, exit 7]}]}";
    let template = world.sandbox.write("exits.yaml", spec);
    let setting = format!("kubernetes.pod-template-file.taskmanager={template}");
    let is_it = |pod: &Value| container(pod, "containerStatuses")["exitCode"] == 7;
    Trouble { settings: &[&setting], is_it, words: ["taskmanager-", "exited with code 7"] }.delays(world, times)
}

/// Of a job that runs: the reason is that of its failure.
pub fn out_of_memory(world: &World, times: u32) -> Vec<Duration> {
    let food = world.shared("food");
    let job = Job::start(world, "1", &["trouble=eat", &format!("when={food}")]);
    let rest = world.rest();
    let delays = (0..times).map(|_| {
        let watch = Watch::start(world);
        let victim = name(&world.pods("taskmanager")[0]);
        fs::write(&food, "").unwrap();
        let is_it = |pod: &Value| container(pod, "containerStatuses")["reason"] == "OOMKilled";
        let delay = delay(&watch, is_it, || {
            let newest = rest.exceptions(&job.id).into_iter().next().unwrap_or_default();
            let report = newest["stacktrace"].as_str().unwrap_or_default();
            let is_told = newest["taskManagerId"] == *victim && report.contains("it was out of memory");
            is_told.then(|| victim.clone())
        });
        world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().prints(&["latest failure: ", &victim]);
        job.goes_on(&rest);
        delay
    });
    let delays = delays.collect();
    drop(rest);
    job.end();
    delays
}

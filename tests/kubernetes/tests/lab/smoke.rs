use std::{fs, process::Command};

use flott_kubernetes_lab::{Cluster, skipped, wait};

use super::support::{Namespace, PATIENCE, eventually, options, own, running, shared};

#[test]
fn a_pod_runs_and_its_log_is_read() {
    let Some(cluster) = shared("a_pod_runs_and_its_log_is_read") else { return };
    let here = Namespace::new(&cluster, "runs");
    here.pod("server", &["serve", "8000", "hello"], "");
    here.until_phase("server", "Running");
    eventually("the log", || {
        let log = here.kubectl(&["logs", "server"]);
        if log == "listening" { Ok(()) } else { Err(log) }
    });
}

#[test]
fn exit_codes_and_last_words_are_told() {
    let Some(cluster) = shared("exit_codes_and_last_words_are_told") else { return };
    let here = Namespace::new(&cluster, "exits");
    here.pod("wrong", &["no", "such"], ", terminationMessagePolicy: FallbackToLogsOnError");
    let pod = here.until_phase("wrong", "Failed");
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["exitCode"], &ended["reason"]), (&1.into(), &"Error".into()));
    assert!(ended["message"].as_str().unwrap().contains("serve PORT TEXT"), "{ended:#}");
}

#[test]
fn a_pod_that_is_deleted_is_killed_after_its_grace() {
    let Some(cluster) = shared("a_pod_that_is_deleted_is_killed_after_its_grace") else { return };
    let here = Namespace::new(&cluster, "deleted");
    here.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: stubborn}, spec: {terminationGracePeriodSeconds: 1, containers: \
         [{name: main, image: busybox, args: [-c, 'trap \"\" TERM; echo stubborn; while true; do sleep 1; done']}]}}",
    );
    eventually("the trap to be set", || {
        here.until_phase("stubborn", "Running");
        let log = here.kubectl(&["logs", "stubborn"]);
        if log == "stubborn" { Ok(()) } else { Err(log) }
    });
    here.kubectl(&["delete", "pod", "stubborn", "--timeout=60s"]);
    assert_eq!(here.kubectl(&["get", "pods", "-o", "name"]), "");
}

#[test]
fn nothing_is_left_of_a_cluster_that_ends() {
    let test = "nothing_is_left_of_a_cluster_that_ends";
    let Some(cluster) = own(test, options(1)) else { return };
    let container = {
        let here = Namespace::new(&cluster, "left");
        here.pod("server", &["serve", "8000", "left"], "");
        here.until_phase("server", "Running");
        // It is one of this machine.
        eventually("the container's process", || {
            let running = running("lab-pod serve 8000 left");
            running.into_iter().next().ok_or_else(|| "none".to_owned())
        })
    };
    let directory = cluster.directory().to_owned();
    let status = cluster.status();
    assert!(status.processes.len() >= 5 && status.processes.iter().all(|(_, _, runs)| *runs), "{status:?}");
    drop(cluster);
    assert!(!directory.exists());
    let mine = directory.to_str().unwrap();
    let left: Vec<_> = running(mine).into_iter().chain(running(&container)).collect();
    assert!(left.is_empty(), "{left:#?}");
    let numbers: Vec<_> = status.processes.iter().map(|(_, pid, _)| format!("flott-lab-{pid}-")).collect();
    for base in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"] {
        for group in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = group.file_name().to_string_lossy().into_owned();
            assert!(!numbers.iter().any(|number| name.starts_with(number)), "{base}/{name} is left");
        }
    }
}

#[test]
fn a_detached_cluster_is_ended_by_its_directory() {
    let test = "a_detached_cluster_is_ended_by_its_directory";
    let Some(toolchain) = skipped::without_toolchain(test) else { return };
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("cluster");
    let cluster = Cluster::start_detached(&toolchain, options(1), &directory).unwrap();
    drop(cluster);
    let refused = Cluster::start_detached(&toolchain, options(1), &directory).unwrap_err().to_string();
    assert!(refused.contains("a cluster runs in"), "{refused}");
    open(&directory).end().unwrap();
    let left = running(directory.to_str().unwrap());
    assert!(left.is_empty(), "{left:#?}");
    assert!(open(&directory).status().processes.is_empty());
}

fn open(directory: &std::path::Path) -> Cluster {
    Cluster::open(directory).unwrap()
}

/// The process is one of this test binary, which is killed.
#[test]
fn a_cluster_does_not_outlive_the_process_of_its_test() {
    const PLACE: &str = "LAB_TEST_PLACE";
    let test = "smoke::a_cluster_does_not_outlive_the_process_of_its_test";
    if let Ok(place) = std::env::var(PLACE) {
        let cluster = own(test, options(0)).unwrap();
        fs::write(place + "/directory", cluster.directory().to_str().unwrap()).unwrap();
        let _ = wait::until("the end of this process", PATIENCE, || Ok(false));
        panic!("nobody has killed this process");
    }
    let Some(_) = skipped::without_toolchain(test) else { return };
    let place = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(PLACE, place.path())
        .spawn()
        .unwrap();
    let directory = eventually("a cluster", || {
        let directory = fs::read_to_string(place.path().join("directory")).map_err(|error| error.to_string())?;
        if directory.is_empty() { Err("no directory yet".to_owned()) } else { Ok(directory) }
    });
    assert!(!running(&directory).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the end of all that was started", || {
        let left = running(&directory);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
    });
    fs::remove_dir_all(directory).unwrap();
}

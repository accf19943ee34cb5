//! Pods of the lab, whose processes are those of this machine.

use std::fs;

use nix::unistd::Pid;

/// The process of `flott <verb>` in a pod: `jobmanager` or `taskmanager`.
#[track_caller]
#[must_use]
pub fn process(namespace: &str, verb: &str, pod: &str) -> Pid {
    let (namespace, name) = (format!("FLOTT_POD_NAMESPACE={namespace}"), format!("FLOTT_POD_NAME={pod}"));
    let processes = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: i32, file: &str, wanted: &[&str]| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let mut words = text.split(|byte| *byte == 0).take(if file == "cmdline" { 2 } else { usize::MAX });
        wanted.iter().all(|wanted| words.any(|word| word == wanted.as_bytes()))
    };
    let mut found = pids.filter(|pid| {
        has(*pid, "cmdline", &["flott", verb]) && has(*pid, "environ", &[&namespace]) && has(*pid, "environ", &[&name])
    });
    Pid::from_raw(found.next().unwrap_or_else(|| panic!("there is no process of {pod}")))
}

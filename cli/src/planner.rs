//! Runs a program in plan mode: its `main` runs up to `execute()`, which writes the job graph, and on
//! only to see whether there is a second.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use flott_core::{
    job_graph::{JobGraph, document},
    message::{EXIT_EXECUTED_TWICE, PlanRequest, environment},
};

use crate::state_dir::StateDir;

/// A planned program.
pub struct Planned {
    /// The graph.
    pub graph: JobGraph,
    /// Its document, byte for byte.
    pub document: Vec<u8>,
    /// The executable.
    pub program: PathBuf,
}

/// Finds the executable that the user named: a path, or a name to be found in `PATH`.
pub fn find_program(name: &Path) -> anyhow::Result<PathBuf> {
    let candidates: Vec<PathBuf> = if name.components().count() > 1 || name.is_file() {
        vec![name.to_owned()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(name)).collect()
    };
    let shown = name.display();
    let found = candidates.into_iter().find(|candidate| candidate.exists());
    let found = found.with_context(|| format!("there is no program {shown}: give the path of an executable"))?;
    if found.is_dir() {
        bail!("{shown} is a directory: give the path of an executable");
    }
    nix::unistd::access(&found, nix::unistd::AccessFlags::X_OK)
        .map_err(|_| anyhow!("{shown} is not executable: is it a Flott program, and is its x bit set?"))?;
    Ok(std::fs::canonicalize(found)?)
}

/// A signal by name, as `SIGSEGV`.
pub fn signal_name(signal: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(signal).map_or("an unknown signal", |signal| signal.as_str())
}

/// Plans `program`. What it prints goes to standard error.
pub async fn plan(
    program: &Path,
    arguments: &[OsString],
    request: &PlanRequest,
    state: &StateDir,
    timeout: Duration,
) -> anyhow::Result<Planned> {
    let program = find_program(program)?;
    let output = state.staging()?.join(format!("{}.graph", flott_core::id::JobId::random()));
    let planned = run(&program, arguments, request, &output, timeout).await;
    // Best effort: what is left behind is one small file, and the error of the run matters more.
    let _ = std::fs::remove_file(&output);
    let document = planned?;
    let graph = document::read(&document).context("the program wrote a job graph that cannot be read")?;
    Ok(Planned { graph, document, program })
}

async fn run(
    program: &Path,
    arguments: &[OsString],
    request: &PlanRequest,
    output: &Path,
    timeout: Duration,
) -> anyhow::Result<Vec<u8>> {
    let shown = program.display();
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env(environment::MODE, "plan")
        .env(environment::PLAN_OUTPUT, output)
        .env(environment::PLAN_REQUEST, serde_json::to_string(request)?)
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned()?))
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        // ENOEXEC: neither a binary of this machine nor a script.
        match error.raw_os_error() {
            Some(code) if code == nix::errno::Errno::ENOEXEC as i32 => {
                let here = flott_core::job_graph::host_target();
                anyhow!("{shown} cannot be run here: it is not an executable for {here}")
            }
            _ => anyhow!(error).context(format!("{shown} cannot be run")),
        }
    })?;
    let status = match tokio::time::timeout(timeout, child.wait()).await {
        Ok(status) => status?,
        Err(_) => {
            child.kill().await?;
            let secs = timeout.as_secs_f64();
            bail!("{shown} did not reach execute() within {secs} s (client.timeout) and was ended");
        }
    };
    if let Some(signal) = status.signal() {
        bail!("{shown} crashed with {} while it was being planned", signal_name(signal));
    }
    match (status.code(), std::fs::read(output)) {
        (Some(0), Ok(document)) => Ok(document),
        (Some(0), Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{shown} ended without calling execute(): is it a Flott program?")
        }
        (Some(0), Err(error)) => Err(error.into()),
        (Some(EXIT_EXECUTED_TWICE), _) => bail!(
            "{shown} calls execute() twice: a program is one job, and the second would not run; use one program for \
             each job, or put both into one"
        ),
        (code, _) => bail!("{shown} exited with code {} before it reached execute()", code.unwrap_or(-1)),
    }
}

//! One worker process from its start to its end.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use flott_core::id::WorkerId;
use nix::{errno::Errno, sys::signal::Signal};
use tokio::process::{Child, Command};

use super::{
    BackendEvent, ProcessIdentity, Rejection, Shared, Watched,
    identity::kill_marked,
    record::{MARK, Record},
};
use crate::backend::LossReason;

/// How often a process that is not our child is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Output files that are kept, those of running workers apart.
const OUTPUTS_KEPT: usize = 128;

/// A worker that is watched. Ends when the worker is gone or the backend is dropped.
pub(super) struct Life {
    pub(super) shared: Arc<Shared>,
    pub(super) watched: Watched,
}

impl Life {
    /// Starts the process and watches it.
    pub(super) async fn started(self) {
        if self.watched.stop.is_cancelled() {
            return self.lost(LossReason::Stopped).await;
        }
        match self.spawn() {
            Ok((child, identity)) => {
                self.shared.tell(BackendEvent::Started(self.watched.spec.worker.clone())).await;
                self.watch_child(child, identity).await;
            }
            Err((rejection, message)) => self.rejected(rejection, message).await,
        }
    }

    /// Watches a process that someone else started.
    pub(super) async fn adopted(self, identity: ProcessIdentity) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut kill_at = None;
        loop {
            tokio::select! {
                () = self.shared.unwatch.cancelled() => return,
                () = self.watched.stop.cancelled(), if kill_at.is_none() => {
                    self.signalled(identity.signal(Signal::SIGTERM));
                    kill_at = Some(tokio::time::Instant::now() + self.shared.options.stop_grace);
                }
                _ = looks.tick() => {
                    if !identity.is_alive() {
                        break;
                    }
                    if kill_at.is_some_and(|at| tokio::time::Instant::now() >= at) {
                        self.signalled(identity.kill_group());
                    }
                }
            }
        }
        let reason = if kill_at.is_some() { LossReason::Stopped } else { LossReason::Vanished };
        self.lost(reason).await;
    }

    /// Says that the worker will not be there.
    pub(super) async fn rejected(self, rejection: Rejection, message: String) {
        let worker = self.forget();
        self.shared.tell(BackendEvent::Rejected { worker, rejection, message }).await;
    }

    async fn lost(self, reason: LossReason) {
        // A worker that ended in order has left nothing; one that was killed could not see to it.
        let mark = self.shared.records.mark(&self.watched.spec.worker);
        if let Err(error) = tokio::task::spawn_blocking(move || kill_marked(MARK, &mark)).await {
            tracing::warn!(worker = %self.watched.spec.worker, %error, "what a worker left behind was not looked for");
        }
        let worker = self.forget();
        self.shared.sweep().await;
        self.shared.tell(BackendEvent::Lost { worker, reason }).await;
    }

    fn forget(&self) -> WorkerId {
        let worker = self.watched.spec.worker.clone();
        self.shared.records.remove(&worker);
        self.shared.workers().remove(&worker);
        worker
    }

    async fn watch_child(self, mut child: Child, identity: ProcessIdentity) {
        let status = tokio::select! {
            () = self.shared.unwatch.cancelled() => return,
            status = child.wait() => status,
            () = self.watched.stop.cancelled() => {
                self.signalled(identity.signal(Signal::SIGTERM));
                tokio::select! {
                    () = self.shared.unwatch.cancelled() => return,
                    status = child.wait() => status,
                    () = tokio::time::sleep(self.shared.options.stop_grace) => {
                        self.signalled(identity.kill_group());
                        child.wait().await
                    }
                }
            }
        };
        let stopped = self.watched.stop.is_cancelled();
        self.lost(if stopped { LossReason::Stopped } else { ended(status) }).await;
    }

    fn signalled(&self, result: Result<bool, Errno>) {
        if let Err(error) = result {
            tracing::warn!(worker = %self.watched.spec.worker, %error, "a worker process cannot be signalled");
        }
    }

    fn spawn(&self) -> Result<(Child, ProcessIdentity), (Rejection, String)> {
        let spec = &self.watched.spec;
        let name = &spec.worker.0;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(plain) {
            return Err((Rejection::Spawn, format!("{name:?} cannot be the name of a worker process")));
        }
        let Shared { options, records, .. } = &*self.shared;
        let recorded = Record::intended(spec.clone());
        records.write(&recorded).map_err(|error| (Rejection::Spawn, error.to_string()))?;
        let command = (options.command)(spec);
        let output = |kind: &str| output_file(&options.log_dir, name, kind);
        prune(&options.log_dir, OUTPUTS_KEPT, |worker| self.shared.workers().contains_key(worker));
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(key, value)| (key, value)))
            .env(MARK, records.mark(&spec.worker))
            .stdin(Stdio::null())
            .stdout(output("out")?)
            .stderr(output("err")?)
            .process_group(0)
            .spawn()
            .map_err(|error| (kind_of(&error), format!("cannot start {}: {error}", command.program.display())))?;
        // Not reaped yet, so the id is still the child's, be it that it has ended already.
        let identity = child.id().and_then(|pid| ProcessIdentity::of_child(i32::try_from(pid).ok()?));
        let written = match identity {
            Some(identity) => match records.write(&recorded.of(identity.clone())) {
                Ok(()) => return Ok((child, identity)),
                Err(error) => Err((Rejection::Spawn, error.to_string())),
            },
            None => Err((Rejection::Spawn, "the worker process is not in /proc".into())),
        };
        // Nobody could find it again: it must not be.
        if let Err(error) = child.start_kill() {
            tracing::debug!(worker = name, %error, "a worker process had ended before it was killed");
        }
        written
    }
}

fn ended(status: io::Result<ExitStatus>) -> LossReason {
    let Ok(status) = status else {
        return LossReason::Vanished;
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => LossReason::Exited { code },
        (None, Some(signal)) => LossReason::Killed { signal },
        (None, None) => LossReason::Vanished,
    }
}

fn kind_of(error: &io::Error) -> Rejection {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => Rejection::Quota,
        Some(Errno::ENOENT | Errno::EACCES | Errno::ENOEXEC) => Rejection::Image,
        _ => Rejection::Spawn,
    }
}

fn output_file(dir: &Path, worker: &str, kind: &str) -> Result<File, (Rejection, String)> {
    let path = dir.join(format!("{worker}.{kind}"));
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    file.map_err(|error| (Rejection::Spawn, format!("cannot write {}: {error}", path.display())))
}

/// Removes the oldest outputs of workers that are gone, so that at most `kept` files of such are left.
fn prune(dir: &Path, kept: usize, runs: impl Fn(&WorkerId) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut gone: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let path = entry.path();
            let ours = path.extension().is_some_and(|kind| kind == "out" || kind == "err");
            let worker = WorkerId(path.file_stem()?.to_str()?.to_owned());
            let modified = entry.metadata().ok()?.modified().ok()?;
            (ours && !runs(&worker)).then_some((modified, path))
        })
        .collect();
    gone.sort();
    let surplus = gone.len().saturating_sub(kept);
    for (_, path) in gone.drain(..surplus) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "an old output file cannot be removed");
        }
    }
}

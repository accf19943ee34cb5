//! The threads that wait for brokers: those of tasks may be held up by user code for as long as it likes.

use std::{future::Future, sync::OnceLock};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// Threads for all sources and sinks of a process. They wait, and compress what is sent.
const THREADS: usize = 2;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("flott-kafka").enable_all().build();
        built.expect("the system has no threads left for connections to Kafka")
    })
}

/// Runs `work` beside the caller.
pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime().spawn(work)
}

/// Waits for `work` on a thread that may block. It need not be outside of other runtimes.
pub(crate) fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime().block_on(work));
        waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

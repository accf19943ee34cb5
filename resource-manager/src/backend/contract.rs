//! What every backend must do, run against each: [`laws!`](crate::backend_laws) makes a test of every law.
//!
//! Workers named `broken…` end with code 7, workers named `missing…` cannot be started for want of an image or an
//! executable, others run until they are stopped.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use flott_core::id::WorkerId;
use tokio::sync::mpsc;

use super::{Backend, BackendEvent, LossReason, Rejection, WorkerSpec};
use crate::options::WorkerShape;

/// No machine takes longer for anything that these laws ask for.
const EVENT_MAX: Duration = Duration::from_secs(120);

/// A backend with its events; `open` makes another one that sees the same machines.
pub struct Bench {
    open: Box<dyn Fn() -> Arc<dyn Backend>>,
    backend: Arc<dyn Backend>,
    events: mpsc::Receiver<BackendEvent>,
    /// What the machines live in; dropped last.
    world: Box<dyn std::any::Any>,
}

impl Bench {
    /// A bench whose machines live for as long as `world`.
    ///
    /// # Panics
    /// When the events of a new backend cannot be taken exactly once.
    pub fn new(open: impl Fn() -> Arc<dyn Backend> + 'static, world: impl std::any::Any) -> Self {
        let backend = open();
        let events = backend.events().expect("events are taken for the first time");
        assert!(backend.events().is_none(), "events can be taken once");
        Self { open: Box::new(open), backend, events, world: Box::new(world) }
    }

    /// The backend.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// What the machines live in, if it is of that type.
    pub fn world<T: 'static>(&self) -> Option<&T> {
        self.world.downcast_ref()
    }

    /// The JobManager dies and another one begins.
    ///
    /// # Panics
    /// When the new backend has no events to take.
    pub fn restart(&mut self) {
        self.backend = (self.open)();
        self.events = self.backend.events().expect("a new backend has events");
    }

    /// Asks for a worker of the default shape.
    pub fn start(&self, worker: &str) {
        self.backend.start_worker(WorkerSpec::new(WorkerId(worker.into()), WorkerShape::default()));
    }

    /// Has a worker stopped.
    pub fn stop(&self, worker: &str) {
        self.backend.stop_worker(&WorkerId(worker.into()));
    }

    /// The next event that is no word of a delay or of an end to come.
    ///
    /// # Panics
    /// When the backend has ended.
    pub async fn next(&mut self) -> BackendEvent {
        loop {
            match self.any().await {
                BackendEvent::Delayed { .. } | BackendEvent::Leaving { .. } => {}
                event => return event,
            }
        }
    }

    /// The next event.
    ///
    /// # Panics
    /// When the backend has ended, or says nothing for two minutes.
    pub async fn any(&mut self) -> BackendEvent {
        let event = tokio::time::timeout(EVENT_MAX, self.events.recv()).await;
        event.expect("an event comes in time").expect("the backend goes on")
    }

    /// Waits for an event, passing over others.
    ///
    /// # Panics
    /// When the backend has ended.
    pub async fn until<T>(&mut self, mut found: impl FnMut(BackendEvent) -> ControlFlow<T>) -> T {
        loop {
            if let ControlFlow::Break(found) = found(self.any().await) {
                return found;
            }
        }
    }

    /// Names of the workers that exist, in order.
    ///
    /// # Panics
    /// When the backend cannot say.
    pub async fn listed(&self) -> Vec<String> {
        let listed = self.backend.list().await.expect("the backend says what exists");
        listed.into_iter().map(|worker| worker.spec.worker.0).collect()
    }

    /// The next event must be this worker's `Started`.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn expect_started(&mut self, worker: &str) {
        assert_eq!(self.next().await, BackendEvent::Started(WorkerId(worker.into())));
    }

    /// The next event, but for repetitions of `Started`, must be this worker's loss.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn expect_lost(&mut self, worker: &str, reason: LossReason) {
        let worker = WorkerId(worker.into());
        loop {
            match self.next().await {
                BackendEvent::Started(again) if again == worker => {}
                event => return assert_eq!(event, BackendEvent::Lost { worker, reason }),
            }
        }
    }
}

/// Asking twice starts one; what runs is listed; stopping may be said twice, and of workers never heard of.
///
/// # Panics
/// When the law is broken.
pub async fn workers_are_started_listed_and_stopped(mut bench: Bench) {
    bench.start("a");
    bench.start("a");
    bench.expect_started("a").await;
    bench.start("a");
    bench.start("b");
    bench.expect_started("b").await;
    assert_eq!(bench.listed().await, ["a", "b"]);
    bench.stop("a");
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
    assert_eq!(bench.listed().await, ["b"]);
    bench.stop("a");
    bench.stop("never");
    bench.stop("b");
    bench.expect_lost("b", LossReason::Stopped).await;
    assert!(bench.listed().await.is_empty());
}

/// A worker that ends by itself is told of with its exit code, and is there no longer.
///
/// # Panics
/// When the law is broken.
pub async fn a_worker_that_ends_is_lost_with_its_code(mut bench: Bench) {
    bench.start("broken-1");
    bench.expect_started("broken-1").await;
    bench.expect_lost("broken-1", LossReason::Exited { code: 7 }).await;
    assert!(bench.listed().await.is_empty());
}

/// What there is no executable or image for is rejected, leaves nothing, and keeps nothing else from starting.
///
/// # Panics
/// When the law is broken.
pub async fn what_cannot_be_started_is_rejected(mut bench: Bench) {
    bench.start("missing-1");
    match bench.next().await {
        BackendEvent::Rejected { worker, rejection: Rejection::Image, .. } => assert_eq!(worker.0, "missing-1"),
        other => panic!("expected a rejection, got {other:?}"),
    }
    assert!(bench.listed().await.is_empty());
    bench.start("fine");
    bench.expect_started("fine").await;
    bench.stop("fine");
    bench.expect_lost("fine", LossReason::Stopped).await;
}

/// A stop that comes before the start is through wins.
///
/// # Panics
/// When the law is broken.
pub async fn stopping_while_starting_leaves_nothing(mut bench: Bench) {
    bench.start("a");
    bench.stop("a");
    while !matches!(bench.next().await, BackendEvent::Lost { .. }) {}
    assert!(bench.listed().await.is_empty());
}

/// Workers of a backend that is gone are listed by the next, and are stopped by it.
///
/// # Panics
/// When the law is broken.
pub async fn workers_outlive_the_backend_and_are_found_again(mut bench: Bench) {
    bench.start("a");
    bench.start("b");
    bench.next().await;
    bench.next().await;
    bench.restart();
    assert_eq!(bench.listed().await, ["a", "b"]);
    bench.start("a");
    assert_eq!(bench.listed().await, ["a", "b"]);
    for worker in ["a", "b"] {
        bench.stop(worker);
        while !matches!(bench.next().await, BackendEvent::Lost { reason: LossReason::Stopped, .. }) {}
    }
    assert!(bench.listed().await.is_empty());
}

/// Makes a test of each law: `laws!(name: bench)` is a module `name` in which every law is tested on what `bench().await`
/// gives. With `laws!(name: optional bench)` that is `bench(law).await`, which may give none where it cannot be tested, and
/// then says so aloud.
#[macro_export]
macro_rules! backend_laws {
    ($name:ident: optional $bench:expr) => {
        $crate::backend_laws!(@each $name: async |law| $bench(law).await;
            workers_are_started_listed_and_stopped,
            a_worker_that_ends_is_lost_with_its_code,
            what_cannot_be_started_is_rejected,
            stopping_while_starting_leaves_nothing,
            workers_outlive_the_backend_and_are_found_again,
        );
    };
    ($name:ident: $bench:expr) => {
        $crate::backend_laws!(@each $name: async |_: &str| Some($bench().await);
            workers_are_started_listed_and_stopped,
            a_worker_that_ends_is_lost_with_its_code,
            what_cannot_be_started_is_rejected,
            stopping_while_starting_leaves_nothing,
            workers_outlive_the_backend_and_are_found_again,
        );
    };
    (@each $name:ident: $bench:expr; $($law:ident),* $(,)?) => {
        mod $name {
            $(#[tokio::test]
            async fn $law() {
                if let Some(bench) = ($bench)(stringify!($law)).await {
                    $crate::backend::contract::$law(bench).await;
                }
            })*
        }
    };
}

pub use crate::backend_laws as laws;

//! Panics of user code become failures that say what panicked and where.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Once,
    task::Poll,
};

use flott_core::failure::Failure;

use crate::error::{TaskResult, take_operator};

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics are noted for [`catch`]; they are printed as before.
pub fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LAST_PANIC.set(Some(info.to_string()));
            print(info);
        }));
    });
}

/// Calls `work`; a panic in it becomes a failure.
pub fn catch<T>(work: impl FnOnce() -> TaskResult<T>) -> TaskResult<T> {
    take_operator();
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(failure_of(panic)))
}

/// Drives `task`; a panic in it becomes a failure. It must not be driven again afterwards.
pub async fn catch_future<T>(task: &mut Pin<Box<dyn Future<Output = TaskResult<T>> + Send>>) -> TaskResult<T> {
    poll_fn(|cx| {
        take_operator();
        panic::catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(failure_of(panic))))
    })
    .await
}

fn failure_of(payload: Box<dyn std::any::Any + Send>) -> Box<Failure> {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
    let message = format!("the program panicked: {}", text.as_deref().unwrap_or("(no message)"));
    let mut failure = Failure::user(message).at(|place| place.operator = take_operator().map(|name| name.to_string()));
    if let Some(noted) = LAST_PANIC.take() {
        failure = failure.because(noted.replace('\n', " "));
    }
    // The payload is the program's, and may panic in its turn when it is dropped.
    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    Box::new(failure)
}

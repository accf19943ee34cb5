//! Results of task code.

use std::{cell::RefCell, fmt};

use flott_core::failure::Failure;

/// Outcome of anything that runs in a task. The failure is boxed: it is rare, and results are everywhere.
pub type TaskResult<T = ()> = Result<T, Box<Failure>>;

/// Any error of a user function.
pub type UserError = Box<dyn std::error::Error + Send + Sync>;

/// Turns what a user function returned into a failure that says `what` was being done.
pub fn user_failure(what: impl fmt::Display, error: &UserError) -> Box<Failure> {
    let mut failure = Failure::user(format!("{what}: {error}"));
    let mut next = error.source();
    while let Some(cause) = next {
        failure = failure.because(cause);
        next = cause.source();
    }
    Box::new(failure)
}

thread_local! {
    static OPERATOR: RefCell<Option<std::sync::Arc<str>>> = const { RefCell::new(None) };
}

/// Notes which operator of the chain is at work, so that a failure or panic can name it. Per batch, not per record.
pub fn enter_operator(name: &std::sync::Arc<str>) {
    OPERATOR.with_borrow_mut(|current| match current {
        Some(known) if std::sync::Arc::ptr_eq(known, name) => {}
        _ => *current = Some(name.clone()),
    });
}

/// Has `work` done in the name of an operator, and then goes on in the name of the one before it: for what is called while
/// that one is at work. After a panic the name stays.
pub fn within_operator<R>(name: &std::sync::Arc<str>, work: impl FnOnce() -> R) -> R {
    let outer = OPERATOR.replace(Some(name.clone()));
    let result = work();
    OPERATOR.set(outer);
    result
}

/// The operator last entered on this thread; forgotten by the call.
pub fn take_operator() -> Option<std::sync::Arc<str>> {
    OPERATOR.take()
}

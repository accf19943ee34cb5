//! What is given out for a window of a key, by functions with state and without.

use flott_runtime::{
    batch::{BATCH_RECORDS, Key},
    error::TaskResult,
    state::{KeyHash, KeyScope},
};

use crate::{
    function::failed,
    operator::window::Emit,
    window::{Window, WindowContext, WindowScopes},
};

/// Keys that are looked at between two questions whether a step has given enough.
pub(super) const KEYS_TOGETHER: usize = 128;

/// Most keys, or free places for them, that a step looks at.
pub(super) const KEYS_MAX: usize = BATCH_RECORDS;

/// Gives out the result of a window of a key. The context has the timestamp of the window.
#[inline(always)]
pub(super) fn give<K, W, R, E>(
    emit: &mut E,
    key: &K,
    window: &W,
    result: R,
    ctx: &mut WindowContext<'_, K, W, E::Out>,
) -> TaskResult
where
    K: Key,
    W: Window,
    E: Emit<K, W, R>,
{
    if E::STATEFUL {
        ctx.set_window(KeyHash::of(key), key.clone(), window.clone());
    }
    emit.emit(key, window, result, ctx).map_err(failed)
}

/// The window of a key is over: drops what is kept for it. The context has the timestamp of the window.
#[inline(always)]
pub(super) fn clear<K, W, R, E>(
    emit: &mut E,
    scopes: &WindowScopes<K, W>,
    key: &K,
    window: &W,
    ctx: &mut WindowContext<'_, K, W, E::Out>,
) -> TaskResult
where
    K: Key,
    W: Window,
    E: Emit<K, W, R>,
{
    if !E::STATEFUL {
        return Ok(());
    }
    ctx.set_window(KeyHash::of(key), key.clone(), window.clone());
    emit.clear(key, window, ctx).map_err(failed)?;
    scopes.forget(ctx.states(), window)
}

//! The trigger that looks for change.

use std::marker::PhantomData;

use flott_runtime::batch::{Data, Timestamp};

use super::{Trigger, TriggerContext, TriggerResult};
use crate::{function::FunctionResult, window::Window};

/// Fires when a record differs from the one that it last fired for by more than a threshold.
pub struct DeltaTrigger<T, F> {
    threshold: f64,
    delta: F,
    records: PhantomData<fn(T)>,
}

impl<T, F> DeltaTrigger<T, F>
where
    F: FnMut(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    /// Fires when `delta` of the record that it last fired for, or else of the first, and of the one at hand is more than
    /// `threshold`.
    pub fn of(threshold: f64, delta: F) -> Self {
        Self { threshold, delta, records: PhantomData }
    }
}

impl<T, F: Clone> Clone for DeltaTrigger<T, F> {
    fn clone(&self) -> Self {
        Self { threshold: self.threshold, delta: self.delta.clone(), records: PhantomData }
    }
}

impl<T, W, F> Trigger<T, W> for DeltaTrigger<T, F>
where
    T: Data,
    W: Window,
    F: FnMut(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    type State = Option<T>;

    fn on_element(
        &mut self,
        element: &T,
        _: Timestamp,
        _: &W,
        ctx: &mut TriggerContext<'_, Option<T>>,
    ) -> FunctionResult<TriggerResult> {
        let last = ctx.state();
        let fires = match last {
            Some(last) if (self.delta)(last, element) > self.threshold => true,
            Some(_) => return Ok(TriggerResult::Continue),
            None => false,
        };
        *last = Some(element.clone());
        Ok(if fires { TriggerResult::Fire } else { TriggerResult::Continue })
    }

    fn is_initial(&self, last: &Option<T>) -> bool {
        last.is_none()
    }

    fn describe(&self) -> String {
        format!("DeltaTrigger({})", self.threshold)
    }
}

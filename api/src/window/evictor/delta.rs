//! Keeps records that are like the last one.

use std::marker::PhantomData;

use super::{Evictor, When, evicts};
use crate::window::{Window, WindowElements};

/// Takes out a window's records that differ from its last one by a threshold or more; those of which that cannot be said, as
/// the difference is not a number, stay.
pub struct DeltaEvictor<T, F> {
    threshold: f64,
    delta: F,
    when: When,
    records: PhantomData<fn(T)>,
}

impl<T, F> DeltaEvictor<T, F>
where
    F: FnMut(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    /// Takes out, before the window's function, records for which `delta` of them and of the window's last one is
    /// `threshold` or more.
    pub fn of(threshold: f64, delta: F) -> Self {
        Self { threshold, delta, when: When::Before, records: PhantomData }
    }

    /// Takes them out after the window's function.
    #[must_use]
    pub fn after(self) -> Self {
        Self { when: When::After, ..self }
    }

    fn evict(&mut self, elements: &mut WindowElements<T>) {
        let Some(last) = elements.records().last() else { return };
        let far = elements.records().iter().map(|record| (self.delta)(record, last) >= self.threshold);
        let far: Vec<bool> = far.collect();
        let mut far = far.into_iter();
        elements.retain(|_, _| far.next() != Some(true));
    }
}

impl<T, F: Clone> Clone for DeltaEvictor<T, F> {
    fn clone(&self) -> Self {
        Self { threshold: self.threshold, delta: self.delta.clone(), when: self.when, records: PhantomData }
    }
}

impl<T, W, F> Evictor<T, W> for DeltaEvictor<T, F>
where
    T: 'static,
    W: Window,
    F: FnMut(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    evicts!();

    fn describe(&self) -> String {
        format!("DeltaEvictor({}, {:?})", self.threshold, self.when)
    }
}

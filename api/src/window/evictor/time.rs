//! Keeps the youngest records.

use std::time::Duration;

use super::{Evictor, When, evicts};
use crate::window::{Window, WindowElements, millis};

/// Keeps a window's records whose timestamps are less than a time before that of its youngest. Records without timestamps
/// stay.
#[derive(Debug, Clone, Copy)]
pub struct TimeEvictor {
    age_ms: i64,
    when: When,
}

impl TimeEvictor {
    /// Keeps records that are younger than `age`, seen from the youngest, and takes out the others before the window's
    /// function.
    pub fn of(age: Duration) -> Self {
        Self { age_ms: millis(age), when: When::Before }
    }

    /// Takes them out after the window's function.
    #[must_use]
    pub fn after(self) -> Self {
        Self { when: When::After, ..self }
    }

    fn evict<T>(&self, elements: &mut WindowElements<T>) {
        let Some(youngest) = elements.timestamps().iter().flatten().max() else { return };
        // Where no time is that much earlier, nothing is too old.
        let Some(cut) = youngest.checked_sub(self.age_ms) else { return };
        elements.retain(|_, timestamp| timestamp.is_none_or(|at| at > cut));
    }
}

impl<T, W: Window> Evictor<T, W> for TimeEvictor {
    evicts!();

    fn describe(&self) -> String {
        format!("TimeEvictor({} ms, {:?})", self.age_ms, self.when)
    }
}

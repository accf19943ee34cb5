//! Keeps the last records.

use super::{Evictor, When, evicts};
use crate::window::{Window, WindowElements};

/// Keeps so many of a window's last records.
#[derive(Debug, Clone, Copy)]
pub struct CountEvictor {
    count: usize,
    when: When,
}

impl CountEvictor {
    /// Keeps the last `count`, and takes out the others before the window's function.
    pub fn of(count: usize) -> Self {
        Self { count, when: When::Before }
    }

    /// Takes them out after the window's function.
    #[must_use]
    pub fn after(self) -> Self {
        Self { when: When::After, ..self }
    }

    fn evict<T>(&self, elements: &mut WindowElements<T>) {
        elements.remove_first(elements.len().saturating_sub(self.count));
    }
}

impl<T, W: Window> Evictor<T, W> for CountEvictor {
    evicts!();

    fn describe(&self) -> String {
        format!("CountEvictor({}, {:?})", self.count, self.when)
    }
}

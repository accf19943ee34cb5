//! Things at numbers that stay.

use serde::{Deserialize, Serialize};

/// A list with gaps, which are filled first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slab<V> {
    entries: Vec<Option<V>>,
    free: Vec<u32>,
}

impl<V> Default for Slab<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<V> Slab<V> {
    /// Puts `value` in; its number. None if there are no more numbers.
    pub fn insert(&mut self, value: V) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            let entry = self.entries.get_mut(number as usize)?;
            *entry = Some(value);
            return Some(number);
        }
        let number = u32::try_from(self.entries.len()).ok()?;
        self.entries.push(Some(value));
        Some(number)
    }

    pub fn get(&self, number: u32) -> Option<&V> {
        self.entries.get(number as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut V> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    pub fn remove(&mut self, number: u32) -> Option<V> {
        let value = self.entries.get_mut(number as usize)?.take()?;
        self.free.push(number);
        if self.free.len() == self.entries.len() {
            self.entries.clear();
            self.free.clear();
        }
        Some(value)
    }

    /// Values in it.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.iter().flatten().count()
    }
}

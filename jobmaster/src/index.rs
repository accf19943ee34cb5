//! Places in the tables of one job: dense, so that a look-up is an array access, and each of a type of its own.

use std::{
    marker::PhantomData,
    ops::{Index, IndexMut},
};

/// A newtype over a place in a [`Table`].
pub trait Key: Copy + Ord {
    /// The key of a place.
    fn from_place(place: usize) -> Self;
    /// The place of a key.
    fn place(self) -> usize;
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl Key for $name {
            fn from_place(place: usize) -> Self {
                Self(u32::try_from(place).expect("a job has far fewer parts than 2^32"))
            }

            fn place(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

keys! {
    /// A vertex, by its place in the job graph.
    VertexIndex;
    /// A subtask of any vertex, by its place among all of the job.
    ExecutionIndex;
    /// A pipelined region.
    RegionIndex;
    /// A slot that subtasks of one sharing group share.
    SharedSlotIndex;
}

/// A list that is indexed by one kind of key only.
#[derive(Debug, Clone)]
pub struct Table<K, T> {
    rows: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Key, T> Table<K, T> {
    /// Rows in order of their keys.
    pub fn new(rows: Vec<T>) -> Self {
        Self { rows, key: PhantomData }
    }

    /// Appends a row, and gives its key.
    pub fn push(&mut self, row: T) -> K {
        self.rows.push(row);
        K::from_place(self.rows.len() - 1)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> + use<K, T> {
        (0..self.rows.len()).map(K::from_place)
    }

    /// All rows, in order.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.rows.iter()
    }

    /// All keys with their rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.keys().zip(&self.rows)
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        &self.rows[key.place()]
    }
}

impl<K: Key, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.rows[key.place()]
    }
}

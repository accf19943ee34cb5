//! The splits that a source reads at the same time.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::time::SplitTime;
use crate::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    source::{ReadStatus, SplitReader},
    task::woken::{Sleep, Woken},
};

/// A split that is being read.
pub(super) struct OpenSplit<T, S> {
    /// It was found by a reader, and not handed out.
    is_found: bool,
    reader: Box<dyn SplitReader<T, S>>,
    woken: Woken,
    pub time: SplitTime<T>,
}

impl<T, S> OpenSplit<T, S> {
    /// Reads it, or not, from here on.
    pub fn set_paused(&mut self, paused: bool) {
        if std::mem::replace(&mut self.time.paused, paused) == paused {
            return;
        }
        // It is not for want of records that it gives none. Whether it has any is to be found out afterwards.
        self.time.dryness.end();
        if paused {
            self.reader.pause();
        } else {
            self.reader.resume();
            self.woken.raise();
        }
    }

    /// Splits that its reader has found.
    pub fn take_found(&mut self) -> Vec<S> {
        self.reader.take_found()
    }

    /// Whether its reader has been woken, and not been asked since.
    pub fn is_woken(&self) -> bool {
        self.woken.is_raised()
    }
}

/// Splits that are read in turn, so that a busy one does not starve the others.
pub(super) struct OpenSplits<T, S> {
    splits: Vec<OpenSplit<T, S>>,
    /// Whose turn it is.
    next: usize,
    sleep: Arc<Sleep>,
}

impl<T, S> OpenSplits<T, S> {
    pub fn new() -> Self {
        Self { splits: Vec::new(), next: 0, sleep: Arc::default() }
    }

    /// Those that were handed out.
    pub fn given(&self) -> usize {
        self.splits.iter().filter(|split| !split.is_found).count()
    }

    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }

    /// Whether any has records to give.
    pub fn has_records(&self) -> bool {
        self.splits.iter().any(|split| split.reader.gives_records())
    }

    /// Whether any is not to be read for now.
    pub fn is_any_paused(&self) -> bool {
        self.splits.iter().any(|split| split.time.paused)
    }

    /// Each of them.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, OpenSplit<T, S>> {
        self.splits.iter_mut()
    }

    /// The one in this place.
    pub fn at(&mut self, place: usize) -> &mut OpenSplit<T, S> {
        &mut self.splits[place]
    }

    /// What is left of each.
    pub fn remaining(&self) -> impl Iterator<Item = S> {
        self.splits.iter().map(|split| split.reader.remaining())
    }

    /// The watermark of each, and whether it is idle.
    pub fn watermarks(&self) -> impl Iterator<Item = (Timestamp, bool)> {
        self.splits.iter().map(|split| (split.time.assigner.watermark(), split.time.idle))
    }

    /// The least watermark of those that are not idle; the earliest time if there are none.
    pub fn least(&self) -> Timestamp {
        let active = self.watermarks().filter(|(_, idle)| !idle);
        active.map(|(watermark, _)| watermark).min().unwrap_or(Timestamp::MIN)
    }

    pub fn add(&mut self, reader: Box<dyn SplitReader<T, S>>, mut time: SplitTime<T>, is_found: bool) {
        time.idle |= !reader.gives_records();
        self.splits.push(OpenSplit { is_found, reader, woken: Woken::new(&self.sleep), time });
    }

    pub fn remove(&mut self, place: usize) {
        drop(self.splits.remove(place));
        if self.next > place {
            self.next -= 1;
        }
    }

    /// Reads a batch of the next split that has one, and says which that is. `dry` is told of each that has none.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Batch<T>,
        mut dry: impl FnMut(&mut SplitTime<T>),
    ) -> Poll<TaskResult<(usize, ReadStatus)>> {
        let count = self.splits.len();
        for step in 0..count {
            let place = (self.next + step) % count;
            let split = &mut self.splits[place];
            if !split.woken.is_raised() || split.time.paused {
                continue;
            }
            split.woken.lower();
            match split.reader.poll_read(&mut split.woken.context(), batch)? {
                Poll::Ready(status) => {
                    split.woken.raise();
                    self.next = place + 1;
                    return Poll::Ready(Ok((place, status)));
                }
                Poll::Pending => dry(&mut split.time),
            }
        }
        self.sleep.register(cx);
        if self.splits.iter().any(|split| split.is_woken() && !split.time.paused) {
            // Woken meanwhile; others have their turn before it is asked again.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

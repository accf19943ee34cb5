//! Sources whose records a test lets go one step after the other.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use flott::{Batch, Data, Environment, ReadStatus, Source, SplitReader, Stream, TaskInfo, TaskResult};

/// How far a script may go. Clones are the same.
#[derive(Clone, Default)]
pub struct Cue(Arc<Mutex<(usize, Vec<Waker>)>>);

impl Cue {
    /// Lets the next `steps` steps go.
    pub fn give(&self, steps: usize) {
        let mut cue = self.0.lock().unwrap();
        cue.0 += steps;
        cue.1.drain(..).for_each(Waker::wake);
    }

    fn given(&self, step: usize, waker: &Waker) -> bool {
        let mut cue = self.0.lock().unwrap();
        if cue.0 <= step {
            cue.1.push(waker.clone());
        }
        cue.0 > step
    }
}

struct Script<T> {
    steps: Vec<Vec<T>>,
    cue: Cue,
}

struct Reader<T> {
    steps: Vec<Vec<T>>,
    next: usize,
    cue: Cue,
}

/// A stream of the records of `steps`, each step when its cue is given; it ends one step after the last. A step may be
/// empty, and only wait.
pub fn script<T: Data + Sync>(env: &Environment, steps: Vec<Vec<T>>) -> (Stream<T>, Cue) {
    let cue = Cue::default();
    (env.from_source(Script { steps, cue: cue.clone() }, "script").parallelism(1), cue)
}

impl<T: Data + Sync> Source for Script<T> {
    type Item = T;
    type Split = ();

    fn enumerate(&self, _: u32) -> TaskResult<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): (), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<T, ()>>> {
        Ok(Box::new(Reader { steps: self.steps.clone(), next: 0, cue: self.cue.clone() }))
    }
}

impl<T: Data> SplitReader<T, ()> for Reader<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        while batch.is_empty() {
            if !self.cue.given(self.next, cx.waker()) {
                return Poll::Pending;
            }
            let Some(step) = self.steps.get(self.next) else { return Poll::Ready(Ok(ReadStatus::Ended)) };
            self.next += 1;
            batch.records.extend_from_slice(step);
        }
        Poll::Ready(Ok(ReadStatus::More))
    }

    fn remaining(&self) {}
}

//! A task that waits for several things, told apart by what woke it: of a hundred splits of which one has records,
//! only that one is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
};

use parking_lot::Mutex;

/// The task's own waker, while it sleeps.
#[derive(Debug, Default)]
pub(super) struct Sleep(Mutex<Option<Waker>>);

impl Sleep {
    /// Has the task of `cx` woken when anything happens from now on. What has happened until now must be looked for after
    /// this.
    pub fn register(&self, cx: &Context<'_>) {
        let mut waker = self.0.lock();
        match &mut *waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn wake(&self) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Debug)]
struct Flag {
    raised: AtomicBool,
    sleep: Arc<Sleep>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.raised.swap(true, SeqCst) {
            self.sleep.wake();
        }
    }
}

/// One of the things. It is to be asked at first, and again whenever its waker was called.
#[derive(Debug)]
pub(super) struct Woken {
    flag: Arc<Flag>,
    waker: Waker,
}

impl Woken {
    pub fn new(sleep: &Arc<Sleep>) -> Self {
        let flag = Arc::new(Flag { raised: AtomicBool::new(true), sleep: sleep.clone() });
        Self { waker: flag.clone().into(), flag }
    }

    /// Whether it is to be asked.
    pub fn is_raised(&self) -> bool {
        self.flag.raised.load(SeqCst)
    }

    /// It is to be asked again in any case.
    pub fn raise(&self) {
        self.flag.raised.store(true, SeqCst);
    }

    /// It is being asked now: what happens from here on raises it again.
    pub fn lower(&self) {
        self.flag.raised.store(false, SeqCst);
    }

    /// What it is asked with.
    pub fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sleeper;

    #[test]
    fn who_was_woken_is_told_and_the_task_sleeps_no_more() {
        let sleep = Arc::<Sleep>::default();
        let things = [Woken::new(&sleep), Woken::new(&sleep)];
        let (sleeper, waker) = Sleeper::new();
        things.iter().for_each(Woken::lower);
        let theirs = things[1].context().waker().clone();
        sleep.register(&Context::from_waker(&waker));
        theirs.wake_by_ref();
        theirs.wake_by_ref();
        assert_eq!((things[0].is_raised(), things[1].is_raised(), sleeper.woken()), (false, true, 1));
        // Nobody sleeps now, but what happens is not forgotten.
        things[1].lower();
        theirs.wake();
        assert_eq!((things[1].is_raised(), sleeper.woken()), (true, 0));
    }
}

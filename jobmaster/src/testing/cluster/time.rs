//! How time goes on.

use super::*;

impl FakeCluster {
    /// Delivers all messages until none is left; tasks stand still.
    pub fn settle(&mut self) {
        loop {
            while self.deliver() {}
            if self.persists && !self.manifests.is_empty() && self.core.waits().contains(&crate::core::Wait::Manifest) {
                self.persist(Ok(()));
                continue;
            }
            return;
        }
    }

    /// When the JobMaster wants to be woken.
    pub fn wake(&self) -> Option<Millis> {
        self.wake
    }

    /// Time goes on to what the JobMaster waits for; `false` if it waits for no time.
    pub fn sleep(&mut self) -> bool {
        let Some(at) = self.wake else { return false };
        self.now = self.now.max(at);
        self.tell(Event::Wake);
        true
    }

    /// Messages arrive, and time goes on by so many milliseconds; the JobMaster is woken where it asked for it.
    pub fn pass(&mut self, milliseconds: u64) {
        self.settle();
        let until = self.now.plus(milliseconds);
        while let Some(at) = self.wake.filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tell(Event::Wake);
            self.settle();
        }
        self.now = until;
    }

    /// Lets everything go on until the job has ended, or nothing can.
    pub fn run_to_end(&mut self) {
        loop {
            self.settle();
            if !self.ended.is_empty() {
                return;
            }
            if !self.work_all() && !self.is_busy() && !self.sleep() {
                return;
            }
        }
    }
}

//! Which task is next.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Wake, Waker},
};

use parking_lot::Mutex;

/// Tasks that have been woken, by number, each once.
pub(super) struct Ready(Mutex<Queue>);

struct Queue {
    woken: VecDeque<usize>,
    queued: Vec<bool>,
}

impl Ready {
    /// All of `tasks` tasks.
    pub fn all(tasks: usize) -> Self {
        Self(Mutex::new(Queue { woken: (0..tasks).collect(), queued: vec![true; tasks] }))
    }

    /// What wakes task `number`.
    pub fn waker(ready: &Arc<Self>, number: usize) -> Waker {
        Arc::new(TaskWaker { ready: ready.clone(), number }).into()
    }

    /// Takes out the one that was woken first, or one that is drawn.
    pub fn next(&self, draws: Option<&mut Draws>) -> Option<usize> {
        let mut queue = self.0.lock();
        let place = draws.map_or(0, |draws| draws.below(queue.woken.len()));
        let number = queue.woken.remove(place)?;
        queue.queued[number] = false;
        Some(number)
    }
}

struct TaskWaker {
    ready: Arc<Ready>,
    number: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut queue = self.ready.0.lock();
        if !std::mem::replace(&mut queue.queued[self.number], true) {
            queue.woken.push_back(self.number);
        }
    }
}

/// Numbers that look drawn at random, the same ones for the same seed: splitmix64.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// Those of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

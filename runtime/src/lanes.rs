//! The executor of tasks: lanes, each a thread with its own network and timers.
//!
//! A task has a home lane, where the other tasks of its slot run too, so that the records that they hand on and the state
//! of their keys stay in the caches of one core. A lane that has nothing to do takes on tasks that wait at a lane that is
//! busy: uneven load leaves no core idle, and a task that has moved is back home with its next turn.
//!
//! User code may hold up a lane for as long as it likes; nothing here waits for it.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use async_task::{Runnable, Task};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Turns of tasks between two looks at the network and at timers, which cost about a microsecond; a turn has the work of
/// some full batches, but the turns of a calm stream are short.
const TURNS: u32 = 7;

/// How long tasks may have the lane between two such looks, as far as it is up to the lane.
const TURNS_TIME: Duration = Duration::from_millis(1);

/// How long a lane must have been at a turn before one that sleeps is woken for a single task that waits behind it. A lane
/// whose turns are shorter comes to the task before the other is awake, and has it in its caches.
const LONG_TURN: Duration = Duration::from_micros(50);

/// Lanes, and the tasks on them.
pub struct Lanes {
    shared: Arc<Shared>,
    runtimes: Vec<Handle>,
}

struct Shared {
    lanes: Vec<Lane>,
    /// What has not ended, so that it can be dropped.
    tasks: Mutex<Tasks>,
    ended: CancellationToken,
    started: Instant,
}

#[derive(Default)]
struct Tasks {
    running: HashMap<u64, Task<()>>,
    next: u64,
    /// No more are taken.
    closed: bool,
}

#[derive(Default)]
struct Lane {
    queue: Mutex<Queue>,
    /// The length of the queue while the lane is awake, else 0: tasks that others may take.
    spare: AtomicUsize,
    /// It sleeps. Like `spare`, only a hint.
    asleep: AtomicBool,
    /// When its last turn began, in nanoseconds since the lanes were started.
    turn: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Runnable>,
    /// Wakes the lane; there while it sleeps and nobody has woken it.
    sleeper: Option<Waker>,
    /// Neither asleep nor on the way from there.
    awake: bool,
    closed: bool,
}

impl Lanes {
    /// Starts so many.
    ///
    /// # Errors
    /// When the system has no more threads or descriptors.
    pub fn start(count: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            lanes: (0..count.max(1)).map(|_| Lane::default()).collect(),
            tasks: Mutex::default(),
            ended: CancellationToken::new(),
            started: Instant::now(),
        });
        // Those that have started end with it should one fail.
        let mut lanes = Self { shared: shared.clone(), runtimes: Vec::new() };
        for index in 0..shared.lanes.len() {
            let runtime = Builder::new_current_thread().event_interval(TURNS).enable_all().build()?;
            lanes.runtimes.push(runtime.handle().clone());
            let shared = shared.clone();
            std::thread::Builder::new().name("flott-task".into()).spawn(move || shared.run(index, runtime))?;
        }
        Ok(lanes)
    }

    /// Their runtimes, where connections and the like can run. A task there stays on its thread.
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }

    /// Runs `task` at the lane `home`, counted from 0 and around.
    pub fn spawn(&self, home: usize, task: impl Future<Output = ()> + Send + 'static) {
        let home = home % self.shared.lanes.len();
        let mut tasks = self.shared.tasks.lock();
        if tasks.closed {
            return;
        }
        let number = tasks.next;
        tasks.next += 1;
        let (ends, schedules) = (self.shared.clone(), self.shared.clone());
        let task = async move {
            task.await;
            let ended = ends.tasks.lock().running.remove(&number);
            // It is about to be done, and must not be cancelled by that.
            ended.into_iter().for_each(Task::detach);
        };
        // A panic ends the task and not its lane.
        let builder = async_task::Builder::new().propagate_panic(true);
        let (runnable, task) = builder.spawn(|()| task, move |runnable| schedules.schedule(home, runnable));
        tasks.running.insert(number, task);
        drop(tasks);
        runnable.schedule();
    }

    /// Wakes lanes that sleep for tasks that wait. They need it where user code holds up a lane after its tasks were woken:
    /// to be called now and then.
    pub fn relieve(&self) {
        let behind = |index: &usize| self.shared.lanes[*index].spare.load(Relaxed) > 0;
        (0..self.shared.lanes.len()).filter(behind).for_each(|index| self.shared.rouse(index));
    }

    /// Drops all tasks as soon as their lanes come to it, and ends the lanes. Does not wait for that.
    pub fn end(&self) {
        let mut tasks = self.shared.tasks.lock();
        tasks.closed = true;
        let running = std::mem::take(&mut tasks.running);
        drop(tasks);
        // A task that is dropped here is scheduled once more, to be dropped by a lane.
        drop(running);
        self.shared.ended.cancel();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// A task has been woken.
    fn schedule(&self, home: usize, runnable: Runnable) {
        let lane = &self.lanes[home];
        let mut queue = lane.queue.lock();
        if queue.closed {
            drop(queue);
            drop(runnable);
            return;
        }
        queue.waiting.push_back(runnable);
        let waiting = queue.waiting.len();
        let sleeper = queue.sleeper.take();
        if queue.awake {
            lane.spare.store(waiting, Relaxed);
        }
        drop(queue);
        match sleeper {
            Some(sleeper) => sleeper.wake(),
            None if waiting > 1 || self.is_long(lane) => self.rouse(home),
            None => {}
        }
    }

    fn is_long(&self, lane: &Lane) -> bool {
        let turn = Duration::from_nanos(lane.turn.load(Relaxed));
        self.lanes.len() > 1 && self.started.elapsed().saturating_sub(turn) > LONG_TURN
    }

    /// Wakes a lane that sleeps, to help `home`.
    fn rouse(&self, home: usize) {
        for lane in self.others(home).filter(|lane| lane.asleep.load(Relaxed)) {
            let sleeper = lane.queue.lock().sleeper.take();
            if let Some(sleeper) = sleeper {
                lane.asleep.store(false, Relaxed);
                sleeper.wake();
                return;
            }
        }
    }

    /// The other lanes, from the next one on.
    fn others(&self, index: usize) -> impl Iterator<Item = &Lane> {
        self.lanes[index + 1..].iter().chain(&self.lanes[..index])
    }

    /// The thread of a lane.
    fn run(self: Arc<Self>, index: usize, runtime: Runtime) {
        let shared = self.clone();
        runtime.block_on(async move {
            let ended = shared.ended.clone();
            // A task of the runtime and not its main future: to wake that one takes a system call even from its own thread.
            tokio::spawn(async move { shared.lane(index).await });
            ended.cancelled().await;
        });
        let _context = runtime.enter();
        let mut queue = self.lanes[index].queue.lock();
        queue.closed = true;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        // Their drop may run user code, and may wake others.
        drop(waiting);
        drop(_context);
        runtime.shutdown_background();
    }

    async fn lane(&self, index: usize) {
        let lane = &self.lanes[index];
        loop {
            std::future::poll_fn(|cx| self.poll_awake(lane, index, cx)).await;
            let since = self.started.elapsed();
            let mut now = since;
            let mut turns = 0;
            while let Some(runnable) = self.next(lane, index) {
                lane.turn.store(now.as_nanos() as u64, Relaxed);
                runnable.run();
                now = self.started.elapsed();
                turns += 1;
                if turns == TURNS || now - since > TURNS_TIME {
                    tokio::task::yield_now().await;
                    break;
                }
            }
        }
    }

    /// Sleeps while there is nothing to do.
    fn poll_awake(&self, lane: &Lane, index: usize, cx: &Context<'_>) -> Poll<()> {
        let mut queue = lane.queue.lock();
        if !queue.waiting.is_empty() || self.others(index).any(|other| other.spare.load(Relaxed) > 0) {
            queue.sleeper = None;
            queue.awake = true;
            lane.spare.store(queue.waiting.len(), Relaxed);
            lane.asleep.store(false, Relaxed);
            return Poll::Ready(());
        }
        queue.sleeper = Some(cx.waker().clone());
        queue.awake = false;
        lane.spare.store(0, Relaxed);
        lane.asleep.store(true, Relaxed);
        Poll::Pending
    }

    /// What waits here, else what waits where a lane is busy.
    fn next(&self, lane: &Lane, index: usize) -> Option<Runnable> {
        let take = |lane: &Lane| {
            let mut queue = lane.queue.lock();
            let runnable = queue.waiting.pop_front();
            if queue.awake {
                lane.spare.store(queue.waiting.len(), Relaxed);
            }
            runnable
        };
        take(lane).or_else(|| self.others(index).filter(|other| other.spare.load(Relaxed) > 0).find_map(take))
    }
}

/// Lets the tasks that wait at the lane have a turn.
pub async fn yield_turn() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;

//! State that is given between batches, while nobody has room for it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use flott_core::{
    checkpoint::{Behind, Overtaking, SnapshotKind},
    id::{AttemptId, CheckpointId, SubtaskIndex},
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::*;
use crate::{
    batch::Batch,
    output::Output,
    snapshot::{Cut, Piece, SnapshotPort, TaskSnapshots},
    state::Extent,
    testing::task_with,
    time::ManualClock,
};

/// Far more than who asks with pauses does in the times of these tests.
const ASKED_MAX: usize = 200_000;

/// Takes state when it is told to.
#[derive(Default)]
struct Store {
    has_room: AtomicBool,
    asked: AtomicUsize,
    given_up: AtomicBool,
    stored: AtomicUsize,
    /// Those that are of no use.
    failed: AtomicUsize,
}

impl SnapshotPort for Store {
    fn begin(&self, _: AttemptId, _: Barrier) -> Extent {
        Extent::Whole
    }

    fn give(&self, _: AttemptId, _: Vec<Piece>) {}

    fn give_in_flight(&self, _: AttemptId, _: Vec<Piece>) {}

    fn has_room(&self, task: AttemptId) -> bool {
        assert!(self.asked.fetch_add(1, Relaxed) < ASKED_MAX, "it is asked without a pause");
        self.has_room.load(Relaxed) || self.is_given_up(task)
    }

    fn give_up(&self, _: AttemptId) {
        self.given_up.store(true, Relaxed);
    }

    fn is_given_up(&self, _: AttemptId) -> bool {
        self.given_up.load(Relaxed)
    }

    fn store(&self, _: AttemptId, cut: Cut) {
        self.stored.fetch_add(1, Relaxed);
        self.failed.fetch_add(usize::from(cut.failure.is_some()), Relaxed);
    }
}

/// Remembers the times that it was told.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Timestamp>>>);

impl Output<u32> for Times {
    fn collect(&mut self, _: &mut Batch<u32>) -> TaskResult {
        Ok(())
    }

    fn event(&mut self, _: Event) -> TaskResult {
        Ok(())
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.0.lock().push(now);
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

const LONG: Duration = Duration::from_secs(60);

fn barrier(checkpoint: u64) -> Event {
    Event::Barrier(Barrier {
        checkpoint: CheckpointId(checkpoint),
        kind: SnapshotKind::Checkpoint,
        behind: Behind::GoOn,
        overtaking: Overtaking::Never,
        full: false,
    })
}

/// A task that has come to a barrier, and has state to give.
async fn cut() -> (Arc<Store>, ManualClock, Arc<TaskInfo>, Times, Turn) {
    let (store, clock, times) = (Arc::<Store>::default(), ManualClock::at(0), Times::default());
    let mut info = Arc::into_inner(task_with(Clock::Manual(clock.clone()), &[])).unwrap();
    info.snapshots = TaskSnapshots::new(SubtaskIndex(0), 1, 128, &BTreeMap::new(), store.clone());
    let info = Arc::new(info);
    let mut turn = Turn::new(info.clone());
    let mut tail: Box<dyn Output<u32>> = Box::new(times.clone());
    turn.event(&mut tail, barrier(1)).await.unwrap();
    (store, clock, info, times, turn)
}

#[tokio::test(start_paused = true)]
async fn processing_time_goes_on() {
    let (store, clock, info, times, mut turn) = cut().await;
    let mut tail: Box<dyn Output<u32>> = Box::new(times.clone());
    info.alarm.set(10);
    clock.set(20);
    for room in [false, true] {
        store.has_room.store(room, Relaxed);
        let input = |_: &mut Box<dyn Output<u32>>, _: &mut Context<'_>| Poll::<TaskResult<()>>::Pending;
        timeout(LONG, turn.wait(&mut tail, input)).await.unwrap_err();
        assert_eq!(*times.0.lock(), [20]);
        assert_eq!(store.stored.load(Relaxed), usize::from(room));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_room_and_lets_others_work() {
    let (store, _, _, times, mut turn) = cut().await;
    let mut tail: Box<dyn Output<u32>> = Box::new(times);
    timeout(LONG, turn.end(&mut tail)).await.unwrap_err();
    assert_eq!(store.stored.load(Relaxed), 0);
    store.has_room.store(true, Relaxed);
    timeout(LONG, turn.end(&mut tail)).await.unwrap().unwrap();
    assert_eq!(store.stored.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_barrier_waits_for_room_until_the_snapshot_before_is_given_up() {
    let (store, _, _, times, mut turn) = cut().await;
    let mut tail: Box<dyn Output<u32>> = Box::new(times);
    timeout(STALLED / 2, turn.event(&mut tail, barrier(2))).await.unwrap_err();
    assert_eq!(store.stored.load(Relaxed), 0);
    store.given_up.store(true, Relaxed);
    timeout(LONG, turn.event(&mut tail, barrier(2))).await.unwrap().unwrap();
    // It is completed all the same; so is the second, at whose barrier it is known already.
    assert_eq!((store.stored.load(Relaxed), store.failed.load(Relaxed)), (2, 2));
    store.given_up.store(false, Relaxed);
    store.has_room.store(true, Relaxed);
    timeout(LONG, turn.event(&mut tail, barrier(3))).await.unwrap().unwrap();
    assert_eq!((store.stored.load(Relaxed), store.failed.load(Relaxed)), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_which_nothing_is_taken_is_given_up_for_the_barrier_that_waits() {
    let (store, _, _, times, mut turn) = cut().await;
    let mut tail: Box<dyn Output<u32>> = Box::new(times);
    timeout(STALLED * 2, turn.event(&mut tail, barrier(2))).await.unwrap().unwrap();
    assert!(store.given_up.load(Relaxed) && store.failed.load(Relaxed) > 0);
}

/// Takes a little now and then.
struct Slow(Mutex<tokio::time::Instant>);

impl SnapshotPort for Slow {
    fn begin(&self, _: AttemptId, _: Barrier) -> Extent {
        Extent::Whole
    }

    fn give(&self, _: AttemptId, _: Vec<Piece>) {}

    fn give_in_flight(&self, _: AttemptId, _: Vec<Piece>) {}

    fn has_room(&self, _: AttemptId) -> bool {
        let mut since = self.0.lock();
        let has_room = since.elapsed() > STALLED * 9 / 10;
        if has_room {
            *since = tokio::time::Instant::now();
        }
        has_room
    }

    fn give_up(&self, _: AttemptId) {
        panic!("it only is slow");
    }

    fn store(&self, _: AttemptId, _: Cut) {
        panic!("there is always more");
    }
}

/// Has more state than can be given.
struct Endless;

impl Output<u32> for Endless {
    fn collect(&mut self, _: &mut Batch<u32>) -> TaskResult {
        Ok(())
    }

    fn event(&mut self, _: Event) -> TaskResult {
        Ok(())
    }

    fn snapshot_more(&mut self) -> Progress {
        Progress::More
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_only_is_slow_is_waited_for() {
    let mut info = Arc::into_inner(task_with(Clock::Manual(ManualClock::at(0)), &[])).unwrap();
    let slow = Arc::new(Slow(Mutex::new(tokio::time::Instant::now())));
    info.snapshots = TaskSnapshots::new(SubtaskIndex(0), 1, 128, &BTreeMap::new(), slow);
    let mut turn = Turn::new(Arc::new(info));
    let mut tail: Box<dyn Output<u32>> = Box::new(Endless);
    turn.event(&mut tail, barrier(1)).await.unwrap();
    timeout(STALLED * 5, turn.event(&mut tail, barrier(2))).await.unwrap_err();
}

/// Has state that cannot be given before a time, and counts how often it is asked.
struct Late {
    until: tokio::time::Instant,
    asked: Arc<AtomicUsize>,
}

impl Output<u32> for Late {
    fn collect(&mut self, _: &mut Batch<u32>) -> TaskResult {
        Ok(())
    }

    fn event(&mut self, _: Event) -> TaskResult {
        Ok(())
    }

    fn snapshot_more(&mut self) -> Progress {
        assert!(self.asked.fetch_add(1, Relaxed) < ASKED_MAX, "it is asked without a pause");
        if tokio::time::Instant::now() < self.until { Progress::Waiting } else { Progress::Done }
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Prepared) -> TaskResult {
        Ok(())
    }
}

/// A task that has come to a barrier, whose state cannot be given for so long.
async fn behind(by: Duration) -> (Arc<Store>, Turn, Box<dyn Output<u32>>, Arc<AtomicUsize>) {
    let (store, _, _, _, mut turn) = cut().await;
    store.has_room.store(true, Relaxed);
    let asked = Arc::new(AtomicUsize::new(0));
    let late = Late { until: tokio::time::Instant::now() + by, asked: asked.clone() };
    let tail: Box<dyn Output<u32>> = Box::new(late);
    turn.giving = Giving::State;
    (store, turn, tail, asked)
}

#[tokio::test(start_paused = true)]
async fn state_that_cannot_be_given_yet_is_asked_for_again_with_pauses() {
    let (store, mut turn, mut tail, asked) = behind(Duration::from_secs(1)).await;
    let input = |_: &mut Box<dyn Output<u32>>, _: &mut Context<'_>| Poll::<TaskResult<()>>::Pending;
    timeout(Duration::from_millis(900), turn.wait(&mut tail, input)).await.unwrap_err();
    assert_eq!(store.stored.load(Relaxed), 0);
    timeout(LONG, turn.wait(&mut tail, input)).await.unwrap_err();
    assert_eq!(store.stored.load(Relaxed), 1);
    assert!((500..1_100).contains(&asked.load(Relaxed)), "{asked:?}");
    // So does the end.
    let (store, mut turn, mut tail, _) = behind(Duration::from_secs(1)).await;
    timeout(LONG, turn.end(&mut tail)).await.unwrap().unwrap();
    assert_eq!(store.stored.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn state_that_cannot_be_given_for_long_is_given_up_for_the_barrier_that_waits() {
    let (store, mut turn, mut tail, _) = behind(STALLED / 2).await;
    timeout(LONG, turn.event(&mut tail, barrier(2))).await.unwrap().unwrap();
    assert!(!store.given_up.load(Relaxed));
    let (store, mut turn, mut tail, _) = behind(STALLED * 10).await;
    timeout(STALLED * 2, turn.event(&mut tail, barrier(2))).await.unwrap_err();
    assert!(store.given_up.load(Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_input_while_its_state_is_not_taken() {
    for room in [false, true] {
        let (store, mut turn, mut tail, _) = behind(LONG).await;
        store.has_room.store(room, Relaxed);
        let (begun, mut polls) = (tokio::time::Instant::now(), 0);
        let input = |_: &mut Box<dyn Output<u32>>, cx: &mut Context<'_>| {
            // It comes as soon as the task waits for it.
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 50 { Poll::Pending } else { Poll::Ready(Ok(())) }
        };
        turn.wait(&mut tail, input).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn batches_do_not_ask_for_state_that_cannot_be_given_before_the_pause_is_over() {
    let (store, mut turn, mut tail, asked) = behind(Duration::from_millis(10)).await;
    for asks in 1..=9 {
        for _ in 0..100 {
            turn.after(&mut tail).await.unwrap();
        }
        assert_eq!(asked.load(Relaxed), asks);
        tokio::time::sleep(2 * ROOM_WAIT).await;
        if store.stored.load(Relaxed) > 0 {
            break;
        }
    }
    assert_eq!(store.stored.load(Relaxed), 1);
}

#[test]
fn a_task_that_is_driven_by_hand_waits_for_its_state() {
    let mut driven = std::pin::pin!(async {
        let (store, mut turn, mut tail, _) = behind(Duration::from_millis(5)).await;
        turn.event(&mut tail, barrier(2)).await.unwrap();
        assert_eq!((store.stored.load(Relaxed), store.failed.load(Relaxed)), (2, 0));
        let (store, mut turn, mut tail, _) = behind(Duration::from_millis(5)).await;
        let input = |_: &mut Box<dyn Output<u32>>, _: &mut Context<'_>| match store.stored.load(Relaxed) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        };
        turn.wait(&mut tail, input).await.unwrap();
    });
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!((0..1_000).any(|_| driven.as_mut().poll(&mut cx).is_ready()));
}

use std::{
    collections::HashSet,
    sync::mpsc,
    thread::{self, ThreadId},
};

use tokio::sync::{mpsc as channel, oneshot};

use super::*;

/// More than any of this takes, on whatever machine.
const LONG: Duration = Duration::from_secs(60);

fn lanes(count: usize) -> Lanes {
    let lanes = Lanes::start(count).unwrap();
    asleep(&lanes);
    lanes
}

/// Waits until all lanes are.
fn asleep(lanes: &Lanes) {
    let since = Instant::now();
    while !lanes.shared.lanes.iter().all(|lane| lane.queue.lock().sleeper.is_some()) {
        assert!(since.elapsed() < LONG, "a lane with nothing to do does not sleep");
        thread::yield_now();
    }
}

/// Has a task hold up the thread that it runs on, until what comes back is dropped or sent to.
fn hold_up(lanes: &Lanes, home: usize) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (begun, begins) = mpsc::channel();
    lanes.spawn(home, async move {
        begun.send(()).unwrap();
        let _ = released.recv_timeout(LONG);
    });
    begins.recv_timeout(LONG).unwrap();
    release
}

fn tells_its_thread(lanes: &Lanes, home: usize) -> mpsc::Receiver<ThreadId> {
    let (sender, receiver) = mpsc::channel();
    lanes.spawn(home, async move { sender.send(thread::current().id()).unwrap() });
    receiver
}

#[test]
fn a_woken_task_runs_at_home() {
    let lanes = lanes(3);
    let (sender, mut receiver) = channel::unbounded_channel::<()>();
    let (report, reports) = mpsc::channel();
    lanes.spawn(1, async move {
        while receiver.recv().await.is_some() {
            report.send(thread::current().id()).unwrap();
        }
    });
    let threads: HashSet<_> = (0..100)
        .map(|_| {
            asleep(&lanes);
            sender.send(()).unwrap();
            reports.recv_timeout(LONG).unwrap()
        })
        .collect();
    assert_eq!(threads.len(), 1);
}

#[test]
fn homes_are_counted_around() {
    let lanes = lanes(2);
    let thread_of = |home| {
        asleep(&lanes);
        tells_its_thread(&lanes, home).recv_timeout(LONG).unwrap()
    };
    let (first, second) = (thread_of(0), thread_of(1));
    assert_ne!(first, second);
    assert_eq!([thread_of(2), thread_of(5)], [first, second]);
}

#[test]
fn what_waits_behind_a_long_turn_runs_elsewhere() {
    let lanes = lanes(2);
    let release = hold_up(&lanes, 0);
    thread::sleep(2 * LONG_TURN);
    let moved = tells_its_thread(&lanes, 0).recv_timeout(LONG).unwrap();
    drop(release);
    asleep(&lanes);
    assert_ne!(tells_its_thread(&lanes, 0).recv_timeout(LONG).unwrap(), moved, "it has stayed there");
}

#[test]
fn what_waits_unseen_is_relieved() {
    let lanes = lanes(2);
    let release = hold_up(&lanes, 0);
    // As if it had been woken before the turn became a long one.
    lanes.shared.lanes[0].turn.store(u64::MAX, Relaxed);
    let waits = tells_its_thread(&lanes, 0);
    lanes.relieve();
    waits.recv_timeout(LONG).unwrap();
    drop(release);
}

#[test]
fn tasks_that_always_go_on_leave_turns_to_others_and_to_the_network() {
    let lanes = lanes(1);
    let ended = CancellationToken::new();
    for _ in 0..3 {
        let ended = ended.clone();
        lanes.spawn(0, async move {
            while !ended.is_cancelled() {
                yield_turn().await;
            }
        });
    }
    let (sender, receiver) = mpsc::channel();
    lanes.spawn(0, async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::spawn(async move { sender.send(()).unwrap() });
    });
    receiver.recv_timeout(LONG).unwrap();
    ended.cancel();
    asleep(&lanes);
    assert!(lanes.shared.tasks.lock().running.is_empty(), "what has ended is still held");
}

#[test]
fn a_panic_ends_the_task_and_not_its_lane() {
    let lanes = lanes(1);
    let (begun, begins) = mpsc::channel();
    lanes.spawn(0, async move {
        begun.send(()).unwrap();
        panic!("as it should");
    });
    begins.recv_timeout(LONG).unwrap();
    tells_its_thread(&lanes, 0).recv_timeout(LONG).unwrap();
}

#[test]
fn nothing_is_lost_while_lanes_take_from_each_other() {
    const TASKS: usize = 50;
    const TURNS: usize = 2_000;
    let lanes = lanes(4);
    let (sender, receiver) = mpsc::channel();
    for task in 0..TASKS {
        let sender = sender.clone();
        // All at two lanes, and each woken by a task of another.
        lanes.spawn(task % 2, async move {
            for turn in 0..TURNS {
                match (task + turn) % 3 {
                    0 => yield_turn().await,
                    1 => {
                        let (sender, receiver) = oneshot::channel();
                        tokio::spawn(async move { sender.send(()).unwrap() });
                        receiver.await.unwrap();
                    }
                    _ => tokio::task::yield_now().await,
                }
            }
            sender.send(task).unwrap();
        });
    }
    let mut ended: Vec<_> = (0..TASKS).map(|_| receiver.recv_timeout(LONG).unwrap()).collect();
    ended.sort_unstable();
    assert!(ended.into_iter().eq(0..TASKS));
}

/// Says when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn the_end_drops_what_runs_waits_or_comes_late_and_waits_for_nobody() {
    let lanes = lanes(2);
    let (sender, drops) = mpsc::channel();
    let never = || {
        let dropped = Dropped(sender.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
    };
    (0..4).for_each(|home| lanes.spawn(home, never()));
    asleep(&lanes);
    // Both lanes are held up, so that what is spawned now waits.
    let held: Vec<_> = (0..2).map(|home| hold_up(&lanes, home)).collect();
    lanes.spawn(0, never());
    lanes.end();
    lanes.spawn(1, never());
    drops.recv_timeout(LONG).expect("the one that comes late is dropped at once");
    drop(held);
    for _ in 0..5 {
        drops.recv_timeout(LONG).unwrap();
    }
}

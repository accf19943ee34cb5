//! A source's splits and watermarks, and in `alignment` how sources wait for each other, with the JobMaster's part played by hand.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flott_core::{
    codec,
    id::OperatorId,
    message::{HostToJob, JobToHost},
    status::ExecutionState,
};
use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Lull, Output},
    source::{ReadStatus, Source, SplitReader},
    task::{SourceHead, TaskInfo, TaskWiring},
    time::{Clock, ManualClock, WatermarkGenerator, WatermarkStrategy},
};

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/parts.rs"]
mod parts;

#[path = "sources/alignment.rs"]
mod alignment;

use cluster::{BuiltBy, Cluster, attempt, graph, operator_id};
use parts::operator;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a split gives next, and what was done with it.
#[derive(Default)]
struct Script {
    steps: VecDeque<Option<Vec<i64>>>,
    waker: Option<Waker>,
    polls: usize,
    paused: usize,
    resumed: usize,
}

type Scripts = Arc<[Mutex<Script>]>;

/// A source of which the test says when each split gives what. Records are their own timestamps.
struct Scripted(Scripts);

impl Source for Scripted {
    type Item = i64;
    type Split = u32;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<u32>> {
        Ok(Vec::new())
    }

    fn concurrent_splits(&self) -> usize {
        usize::MAX
    }

    fn open(&self, split: u32, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<i64, u32>>> {
        Ok(Box::new(ScriptReader { scripts: self.0.clone(), split: split as usize }))
    }
}

struct ScriptReader {
    scripts: Scripts,
    split: usize,
}

impl SplitReader<i64, u32> for ScriptReader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<i64>) -> Poll<TaskResult<ReadStatus>> {
        let mut script = self.scripts[self.split].lock().unwrap();
        script.polls += 1;
        match script.steps.pop_front() {
            Some(Some(records)) => {
                batch.records.extend(records);
                Poll::Ready(Ok(ReadStatus::More))
            }
            Some(None) => Poll::Ready(Ok(ReadStatus::Ended)),
            None => {
                script.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn remaining(&self) -> u32 {
        self.split as u32
    }

    fn pause(&mut self) {
        self.scripts[self.split].lock().unwrap().paused += 1;
    }

    fn resume(&mut self) {
        self.scripts[self.split].lock().unwrap().resumed += 1;
    }
}

#[derive(Debug, PartialEq)]
enum Seen {
    Records(Vec<i64>),
    Event(Event),
    /// The task has nothing to read.
    Quiet,
}

use Event::{Active, End, Idle, Watermark};
use Seen::{Quiet, Records};

/// The end of the chain: says what it sees.
struct Show(mpsc::Sender<Seen>);

impl Output<i64> for Show {
    fn collect(&mut self, batch: &mut Batch<i64>) -> TaskResult {
        if !batch.is_empty() {
            assert!(batch.timestamps.is_empty() || batch.timestamps == batch.records);
            self.0.send(Records(batch.records.drain(..).collect())).unwrap();
            batch.clear();
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.send(Seen::Event(event)).unwrap();
        Ok(())
    }

    fn quiet(&mut self, _: Lull) -> TaskResult {
        self.0.send(Quiet).unwrap();
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// One subtask of a scripted source.
struct Reading {
    cluster: Cluster,
    scripts: Scripts,
    clock: ManualClock,
    seen: mpsc::Receiver<Seen>,
}

impl Reading {
    /// Of a source with so many splits, none of which is open.
    fn start(splits: usize, strategy: Option<WatermarkStrategy<i64>>) -> Self {
        let scripts: Scripts = (0..splits).map(|_| Mutex::default()).collect();
        let (show, seen) = mpsc::channel();
        let program = {
            let scripts = scripts.clone();
            BuiltBy(move |mut wiring: TaskWiring| {
                let (source, out) = (Arc::new(Scripted(scripts.clone())), Box::new(Show(show.clone())));
                SourceHead::new(source, operator(1, "script"), strategy.clone(), out, &mut wiring)
            })
        };
        let clock = ManualClock::at(0);
        let graph = graph(&[("script", 1)], &[]);
        let cluster = Cluster::with_clock(1, 1, &graph, Arc::new(program), Clock::Manual(clock.clone()));
        cluster.deploy(0);
        Self { cluster, scripts, clock, seen }
    }

    /// The same with all splits open.
    fn open(splits: usize, strategy: Option<WatermarkStrategy<i64>>) -> Self {
        let reading = Self::start(splits, strategy);
        for split in 0..splits {
            reading.assign(Some(split as u32), splits as u32);
        }
        while reading.scripts.iter().any(|script| script.lock().unwrap().waker.is_none()) {
            assert_eq!(reading.seen.recv_timeout(PATIENCE), Ok(Quiet));
        }
        reading
    }

    /// Waits until a split is asked for, and answers.
    #[track_caller]
    fn assign(&self, split: Option<u32>, share: u32) {
        let requested = self.next_word();
        let HostToJob::RequestSplit { attempt, source } = requested else { panic!("{requested:?} is no request") };
        let split = split.map(|split| Bytes::from(codec::to_vec(&split).unwrap()));
        self.cluster.hosts[0].deliver(JobToHost::AssignSplit { attempt, source, split, share });
    }

    /// The next word to the JobMaster that is not about the state of the task.
    #[track_caller]
    fn next_word(&self) -> HostToJob {
        loop {
            match self.cluster.next().1 {
                HostToJob::TaskState(change) => assert_eq!(change.failure, None),
                word => return word,
            }
        }
    }

    /// What was said to the alignment group.
    #[track_caller]
    fn said_watermark(&self) -> Option<Timestamp> {
        let word = self.next_word();
        let HostToJob::SourceWatermark { attempt: who, group, watermark } = word else {
            panic!("{word:?} is no watermark")
        };
        assert_eq!((who, &*group), (attempt(1, 0), "group"));
        watermark
    }

    /// The group has come to `watermark`.
    fn group(&self, watermark: Option<Timestamp>) {
        self.cluster.hosts[0].deliver(JobToHost::GroupWatermark { attempt: attempt(1, 0), watermark });
    }

    /// A split gives records, or ends.
    fn give(&self, split: usize, records: impl Into<Option<Vec<i64>>>) {
        let mut script = self.scripts[split].lock().unwrap();
        script.steps.push_back(records.into());
        let waker = script.waker.take();
        drop(script);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits until a split has been paused.
    fn until_paused(&self, split: usize) {
        let begun = Instant::now();
        while self.pauses(split).0 == 0 {
            assert!(begun.elapsed() < PATIENCE, "the split is not paused");
            thread::yield_now();
        }
    }

    /// Sets the clock, by which somebody waits for another time still, and waits until the task has seen to it.
    fn pass(&self, now: Timestamp) {
        self.clock.set(now);
        let begun = Instant::now();
        while self.clock.awaited().is_none() {
            assert!(begun.elapsed() < PATIENCE, "nobody waits for the clock");
            thread::yield_now();
        }
    }

    /// How often a split has been paused and resumed.
    fn pauses(&self, split: usize) -> (usize, usize) {
        let script = self.scripts[split].lock().unwrap();
        (script.paused, script.resumed)
    }

    /// What a split has still to give.
    fn left(&self, split: usize) -> usize {
        self.scripts[split].lock().unwrap().steps.len()
    }

    /// What comes out next until there is nothing to read.
    #[track_caller]
    fn seen(&self) -> Vec<Seen> {
        let next = || self.seen.recv_timeout(PATIENCE).expect("the task goes on");
        // It is quiet now and then without having given anything.
        let first = std::iter::repeat_with(next).find(|seen| *seen != Quiet);
        let rest = std::iter::from_fn(|| Some(next()).filter(|seen| *seen != Quiet));
        first.into_iter().chain(rest).collect()
    }

    /// A split gives records, and they come out with these events behind them.
    #[track_caller]
    fn check(&self, split: usize, records: &[i64], events: &[Event]) {
        self.give(split, records.to_vec());
        let events = events.iter().copied().map(Seen::Event);
        assert_eq!(self.seen(), [Records(records.to_vec())].into_iter().chain(events).collect::<Vec<_>>());
    }

    /// All splits end, and so does the task; these are its last events.
    #[track_caller]
    fn finish(self, events: &[Event]) {
        (0..self.scripts.len()).for_each(|split| self.give(split, None));
        loop {
            match self.cluster.next().1 {
                HostToJob::RequestSplit { attempt, source } => {
                    let answer = JobToHost::AssignSplit { attempt, source, split: None, share: 1 };
                    self.cluster.hosts[0].deliver(answer);
                }
                HostToJob::TaskState(change) if change.state.is_terminal() => {
                    assert_eq!((change.state, change.failure), (ExecutionState::Finished, None));
                    assert_eq!(change.metrics.watermark, Some(Timestamp::MAX));
                    break;
                }
                _ => {}
            }
        }
        let seen: Vec<_> = self.seen.try_iter().filter(|seen| *seen != Quiet).collect();
        let events: Vec<_> = events.iter().copied().map(Seen::Event).collect();
        assert!(seen.ends_with(&events), "{seen:?}");
    }
}

fn strategy() -> WatermarkStrategy<i64> {
    WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|record: &i64| *record)
}

#[test]
fn a_source_holds_as_many_splits_as_are_its_share() {
    let reading = Reading::start(4, None);
    reading.assign(Some(0), 2);
    reading.assign(Some(1), 2);
    reading.give(0, vec![1]);
    reading.give(1, vec![2]);
    reading.give(1, None);
    // It asks again when one has ended, and not before.
    reading.assign(Some(2), 2);
    reading.give(2, None);
    let requested = reading.next_word();
    let source = operator_id(1);
    assert_eq!(requested, HostToJob::RequestSplit { attempt: attempt(1, 0), source });
    // Split 3, which was not asked for, comes all the same, and is read.
    let split = |split: u32| Some(Bytes::from(codec::to_vec(&split).unwrap()));
    for split in [split(3), None] {
        let answer = JobToHost::AssignSplit { attempt: attempt(1, 0), source, split, share: 2 };
        reading.cluster.hosts[0].deliver(answer);
    }
    reading.give(3, vec![3]);
    let mut records = Vec::new();
    while records.len() < 3 {
        if let Records(more) = reading.seen.recv_timeout(PATIENCE).unwrap() {
            records.extend(more);
        }
    }
    records.sort_unstable();
    assert_eq!(records, [1, 2, 3]);
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn splits_are_read_in_turn() {
    let reading = Reading::open(3, None);
    {
        // The first is woken last, when all have much to give.
        let mut scripts: Vec<_> = reading.scripts.iter().map(|script| script.lock().unwrap()).collect();
        for (place, script) in scripts.iter_mut().enumerate() {
            script.steps.extend((0..4).map(|_| Some(vec![place as i64])));
        }
        let wakers: Vec<_> = scripts.iter_mut().filter_map(|script| script.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
    let seen = reading.seen();
    assert_eq!(seen.len(), 12);
    for turn in seen.chunks(3) {
        for place in 0..3 {
            assert!(turn.contains(&Records(vec![place])), "{seen:?}");
        }
    }
}

#[test]
fn only_splits_that_were_woken_are_asked() {
    let reading = Reading::open(3, None);
    (0..3).for_each(|split| reading.check(split, &[0], &[]));
    let polls = || reading.scripts.iter().map(|script| script.lock().unwrap().polls).collect::<Vec<_>>();
    let before = polls();
    for number in 0..10 {
        reading.check(1, &[number], &[]);
    }
    let after = polls();
    assert_eq!((after[0], after[1] - before[1], after[2]), (before[0], 20, before[2]));
}

#[test]
fn the_watermark_is_the_least_of_the_splits_and_never_goes_back() {
    let reading = Reading::start(3, Some(strategy()));
    reading.assign(Some(0), 3);
    reading.assign(Some(1), 3);
    reading.check(0, &[10, 20], &[]);
    reading.check(1, &[5], &[Watermark(4)]);
    reading.check(1, &[100], &[Watermark(19)]);
    // What has ended holds nobody back.
    reading.give(0, None);
    assert_eq!(reading.seen(), [Seen::Event(Watermark(99))]);
    // A new split has to come as far first.
    reading.assign(Some(2), 3);
    reading.check(2, &[50], &[]);
    reading.check(1, &[200], &[]);
    reading.check(2, &[150], &[Watermark(149)]);
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_busy_source_gives_its_watermark_now_and_then() {
    let reading = Reading::open(1, Some(strategy()));
    let mut script = reading.scripts[0].lock().unwrap();
    script.steps.extend((0..100).map(|number| Some(vec![number])));
    let waker = script.waker.take();
    drop(script);
    waker.into_iter().for_each(Waker::wake);
    let seen = reading.seen();
    let watermarks: Vec<_> = seen.iter().filter(|seen| matches!(seen, Seen::Event(_))).collect();
    assert!((2..50).contains(&watermarks.len()), "{watermarks:?}");
    assert_eq!(watermarks.last(), Some(&&Seen::Event(Watermark(98))));
    assert_eq!(seen.len() - watermarks.len(), 100);
}

#[test]
fn a_split_without_records_is_idle_after_a_while() {
    let reading = Reading::open(2, Some(strategy().with_idleness(Duration::from_millis(10))));
    reading.check(0, &[10], &[]);
    reading.check(1, &[20], &[Watermark(9)]);
    reading.clock.set(5);
    reading.check(1, &[30], &[]);
    reading.pass(9);
    reading.clock.set(10);
    assert_eq!(reading.seen(), [Seen::Event(Watermark(29))]);
    reading.pass(14);
    reading.clock.set(15);
    assert_eq!(reading.seen(), [Seen::Event(Idle)]);
    // It wakes up with a late record, and its watermark counts again.
    reading.give(0, vec![12]);
    assert_eq!(reading.seen(), [Seen::Event(Active), Records(vec![12])]);
    reading.check(1, &[50], &[]);
    reading.check(0, &[40], &[Watermark(39)]);
    reading.finish(&[Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_split_is_not_idle_because_the_clock_has_stood_still_for_its_task() {
    let reading = Reading::open(1, Some(strategy().with_idleness(Duration::from_millis(80))));
    reading.check(0, &[10], &[Watermark(9)]);
    // What had come by now may be on its way yet.
    reading.pass(60_000);
    reading.check(0, &[20], &[Watermark(19)]);
    reading.pass(120_000);
    reading.clock.set(120_010);
    assert_eq!(reading.seen(), [Seen::Event(Idle)]);
    reading.finish(&[Active, Watermark(Timestamp::MAX), End]);
}

#[test]
fn splits_that_become_idle_together_leave_the_greatest_watermark() {
    let reading = Reading::open(2, Some(strategy().with_idleness(Duration::from_millis(10))));
    reading.check(0, &[10], &[]);
    reading.check(1, &[20], &[Watermark(9)]);
    reading.pass(9);
    reading.clock.set(10);
    assert_eq!(reading.seen(), [Seen::Event(Watermark(19)), Seen::Event(Idle)]);
    reading.give(0, vec![11]);
    assert_eq!(reading.seen(), [Seen::Event(Active), Records(vec![11])]);
}

#[test]
fn a_source_that_ends_while_it_is_idle_wakes_up_for_it() {
    let reading = Reading::open(1, Some(strategy().with_idleness(Duration::from_millis(10))));
    reading.check(0, &[10], &[Watermark(9)]);
    reading.pass(9);
    reading.clock.set(10);
    assert_eq!(reading.seen(), [Seen::Event(Idle)]);
    reading.finish(&[Active, Watermark(Timestamp::MAX), End]);
}

#[test]
fn a_generator_of_the_users_cuts_a_batch_where_the_source_has_a_new_watermark() {
    #[derive(Clone)]
    struct Tens;
    impl WatermarkGenerator<i64> for Tens {
        fn on_record(&mut self, record: &i64, _: Timestamp) -> Option<Timestamp> {
            (record % 10 == 0).then_some(*record)
        }
        fn on_periodic(&mut self, now: Timestamp) -> Option<Timestamp> {
            (now > 0).then_some(1000)
        }
    }
    let strategy = WatermarkStrategy::for_generator(Tens).with_timestamp_assigner(|record: &i64| *record);
    let reading = Reading::open(2, Some(strategy));
    reading.check(0, &[1, 20, 21], &[]);
    reading.give(1, vec![5, 10, 11, 15, 20, 30, 31]);
    let expected = [
        Records(vec![5, 10]),
        Seen::Event(Watermark(10)),
        Records(vec![11, 15, 20]),
        Seen::Event(Watermark(20)),
        Records(vec![30, 31]),
    ];
    assert_eq!(reading.seen(), expected);
    // Asked by the clock.
    reading.clock.set(1_000);
    assert_eq!(reading.seen(), [Seen::Event(Watermark(1000))]);
}

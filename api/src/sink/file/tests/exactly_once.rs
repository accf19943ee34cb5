//! Whatever is written, rolled, committed half and cut off: each record is in one visible file.

use flott_core::id::JobId;
use proptest::prelude::*;

use super::*;

/// What happens to the tasks of a job.
#[derive(Debug, Clone)]
enum Step {
    /// A subtask is given so many records.
    Write { subtask: u32, records: u64 },
    /// Time passes.
    Wait(Timestamp),
    /// A checkpoint, of which it is known that it is complete, or that it failed.
    Checkpoint { complete: bool },
    /// The commit of what complete checkpoints have prepared.
    Commit(Commit),
    /// All tasks are cut off, and start from the last complete checkpoint, so many of them. What that has prepared is committed
    /// before or after they open their writers.
    Restart { subtasks: u32, commit_first: bool },
}

#[derive(Debug, Clone, Copy)]
enum Commit {
    /// It is cut off when so many writers' parts are shown, and all tasks with it.
    Torn(usize),
    /// It is done, but not noted to be.
    Unsettled,
    /// It is done, but nobody hears of it.
    Unheard,
    Done,
}

/// A job, as far as its sink goes.
struct Job<'a> {
    sink: &'a FileSink<u64>,
    clock: ManualClock,
    tasks: Vec<(Arc<TaskInfo>, Box<dyn SinkWriter<u64>>)>,
    /// The next record of the source.
    next: u64,
    /// What failed checkpoints have prepared: the next one that is complete has it.
    prepared: Vec<Bytes>,
    /// The next record of the source in the last complete checkpoint.
    complete: u64,
    /// What is to be committed.
    uncommitted: Vec<Bytes>,
}

impl Job<'_> {
    fn job(&self) -> JobId {
        self.tasks[0].0.job
    }

    fn start(&mut self, subtasks: u32) {
        self.tasks.clear();
        self.prepared.clear();
        self.next = self.complete;
        for number in 0..subtasks {
            let task = subtask(number, subtasks, &self.clock);
            self.tasks.push((task.clone(), open(self.sink, &task).unwrap()));
        }
    }

    fn commit(&mut self) {
        self.sink.commit(self.job(), &self.uncommitted).unwrap();
        self.sink.settle(self.job(), &self.uncommitted).unwrap();
        self.uncommitted.clear();
    }

    fn prepare(&mut self) {
        for (_, writer) in &mut self.tasks {
            self.prepared.extend(writer.prepare_commit().unwrap());
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { subtask, records } => {
                let place = subtask as usize % self.tasks.len();
                write(&mut self.tasks[place].1, self.next..self.next + records);
                self.next += records;
            }
            Step::Wait(millis) => {
                self.clock.advance(Duration::from_millis(millis as u64));
                for (task, writer) in &mut self.tasks {
                    task.alarm.ring(&task.clock).map_or(Ok(()), |now| writer.time(now)).unwrap();
                }
            }
            Step::Checkpoint { complete } => {
                self.prepare();
                if complete {
                    self.uncommitted.append(&mut self.prepared);
                    self.complete = self.next;
                }
            }
            Step::Commit(how) => match how {
                Commit::Torn(shown) => {
                    let shown = shown.min(self.uncommitted.len());
                    self.sink.commit(self.job(), &self.uncommitted[..shown]).unwrap();
                    self.start(self.tasks.len() as u32);
                }
                Commit::Unsettled => self.sink.commit(self.job(), &self.uncommitted).unwrap(),
                Commit::Unheard => {
                    let again = self.uncommitted.clone();
                    self.commit();
                    self.uncommitted = again;
                }
                Commit::Done => self.commit(),
            },
            Step::Restart { subtasks, commit_first } => {
                if commit_first {
                    self.commit();
                }
                self.start(subtasks);
                self.commit();
            }
        }
    }

    fn end(&mut self) {
        for (_, writer) in &mut self.tasks {
            writer.finish().unwrap();
        }
        self.prepare();
        self.uncommitted.append(&mut self.prepared);
        self.complete = self.next;
        self.commit();
    }
}

/// Wants visible files to be in the right partitions, with records from 0 on, each at most once.
fn check(directory: &Path, partitions: u64, job: &Job<'_>) -> Result<(), TestCaseError> {
    let mut seen = Vec::new();
    for (path, text) in texts(directory) {
        prop_assert!(!text.is_empty() && text.ends_with('\n'), "{path} is torn");
        for line in text.lines() {
            let number: u64 = line.parse().unwrap();
            let partition = path.split_once('/').map_or("", |(partition, _)| partition);
            prop_assert_eq!(partition, by_rest(number, partitions));
            seen.push(number);
        }
    }
    seen.sort_unstable();
    let all: Vec<u64> = (0..job.complete).collect();
    if job.uncommitted.is_empty() {
        prop_assert_eq!(seen, all);
    } else {
        let mut once = seen.clone();
        once.dedup();
        prop_assert_eq!(&seen, &once, "some records are there twice");
        prop_assert!(seen.iter().all(|number| *number < job.complete), "some records are of no complete checkpoint");
    }
    Ok(())
}

/// Records of rest 0 are in the output directory itself.
fn by_rest(number: u64, partitions: u64) -> String {
    if number.is_multiple_of(partitions) { String::new() } else { format!("rest={}", number % partitions) }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let commit = prop_oneof![
        (0..4usize).prop_map(Commit::Torn),
        Just(Commit::Unsettled),
        Just(Commit::Unheard),
        Just(Commit::Done),
    ];
    let step = prop_oneof![
        6 => (0..3u32, 1..9u64).prop_map(|(subtask, records)| Step::Write { subtask, records }),
        2 => (1..80i64).prop_map(Step::Wait),
        2 => any::<bool>().prop_map(|complete| Step::Checkpoint { complete }),
        2 => commit.prop_map(Step::Commit),
        1 => (1..4u32, any::<bool>()).prop_map(|(subtasks, commit_first)| Step::Restart { subtasks, commit_first }),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_record_is_in_one_visible_file(
        steps in steps(),
        partitions in 1..5u64,
        open in 1..4usize,
        bytes in proptest::option::of(1..20u64),
        age in proptest::option::of(1..100u64),
        idle in proptest::option::of(1..60u64),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = FileSink::text(directory.path()).partitions_open(open);
        if partitions > 1 {
            sink = sink.partitioned_by(move |number, path| _ = match by_rest(*number, partitions) {
                rest if rest.is_empty() => path,
                rest => path.push(rest),
            });
        }
        sink = bytes.into_iter().fold(sink, FileSink::roll_at_bytes);
        sink = age.map(Duration::from_millis).into_iter().fold(sink, FileSink::roll_after);
        sink = idle.map(Duration::from_millis).into_iter().fold(sink, FileSink::roll_when_idle);

        let (tasks, prepared, uncommitted) = (Vec::new(), Vec::new(), Vec::new());
        let mut job =
            Job { sink: &sink, clock: ManualClock::at(0), tasks, next: 0, prepared, complete: 0, uncommitted };
        job.start(2);
        for step in &steps {
            job.step(step);
            check(directory.path(), partitions, &job)?;
        }
        job.end();
        check(directory.path(), partitions, &job)?;
        let hidden = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let hidden: Vec<_> = hidden.filter(|name| name.to_str().unwrap().starts_with('.')).collect();
        prop_assert!(hidden.is_empty(), "{:?} is left", hidden);
    }
}

//! Two sources of one alignment group, in slot sharing groups of their own: where a TaskManager has one slot, in processes of
//! their own. They know of each other by files.
//!
//! The fast one runs as long as it is let, and writes down where it is held back. The slow one gives a record when that has
//! happened, and so catches up with it. How far the fast one comes before it first hears of the slow one depends on chance;
//! from then on it does not, and a file says at the end whether it was as it should.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use flott::{Batch, Environment, ReadStatus, Source, SplitReader, TaskInfo, TaskResult, WatermarkStrategy};

use crate::held::look_again;

/// How far ahead the fast source may be, in milliseconds of event time.
const DRIFT: i64 = 1_000;
/// From one record of the fast source to the next. There is one in a batch.
const STEP: i64 = 100;
/// How often the two hear of each other.
const INTERVAL: Duration = Duration::from_millis(10);
/// How often the fast one is held back.
const PAUSES: usize = 5;
/// Where nobody holds it back, it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn build(env: &Environment, directory: &Path) {
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|at: &i64| *at)
        .with_watermark_alignment("race", Duration::from_millis(DRIFT as u64), INTERVAL);
    for (name, is_fast) in [("fast", true), ("slow", false)] {
        let racer = Racer { track: Track(directory.to_owned()), is_fast };
        let source = env.from_source_with_watermarks(racer, strategy.clone(), name).slot_sharing_group(name);
        source.discard();
    }
}

/// What the two know of each other.
#[derive(Clone)]
struct Track(PathBuf);

impl Track {
    /// The slow one has given its first record.
    fn begun(&self) -> PathBuf {
        self.0.join("begun")
    }

    /// Where the fast one was held back, a line each.
    fn pauses(&self) -> PathBuf {
        self.0.join("pauses")
    }

    fn held_back(&self) -> PathBuf {
        self.0.join("held-back")
    }

    fn ran_ahead(&self) -> PathBuf {
        self.0.join("ran-ahead")
    }

    /// Where the fast one was held back the `n`th time.
    fn pause(&self, n: usize) -> Option<i64> {
        let pauses = fs::read_to_string(self.pauses()).unwrap_or_default();
        pauses.split_inclusive('\n').nth(n)?.strip_suffix('\n')?.parse().ok()
    }
}

struct Racer {
    track: Track,
    is_fast: bool,
}

impl Source for Racer {
    type Item = i64;
    type Split = ();

    fn enumerate(&self, _: u32) -> TaskResult<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): (), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<i64, ()>>> {
        let track = self.track.clone();
        Ok(if self.is_fast {
            Box::new(Fast { track, at: 0, pauses: Vec::new(), is_paused: false, since: None })
        } else {
            Box::new(Slow { track, records: 0 })
        })
    }
}

struct Fast {
    track: Track,
    at: i64,
    /// Where it was held back.
    pauses: Vec<i64>,
    is_paused: bool,
    /// When it began to run.
    since: Option<Instant>,
}

impl Fast {
    /// Each time but the first, the slow one was where this one had been held back the time before.
    fn is_as_it_should(&self) -> bool {
        let mut ahead = self.pauses.windows(2).map(|pauses| pauses[1] - pauses[0]);
        self.pauses.len() == PAUSES && ahead.all(|ahead| (DRIFT..=DRIFT + STEP).contains(&ahead))
    }
}

impl SplitReader<i64, ()> for Fast {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<i64>) -> Poll<TaskResult<ReadStatus>> {
        assert!(!self.is_paused, "it is read while it is held back");
        let since = match self.since {
            Some(since) => since,
            None if self.track.begun().exists() => *self.since.insert(Instant::now()),
            None => {
                look_again(cx);
                return Poll::Pending;
            }
        };
        self.at += STEP;
        batch.push(self.at);
        if self.pauses.len() < PAUSES && since.elapsed() < PATIENCE {
            return Poll::Ready(Ok(ReadStatus::More));
        }
        let verdict = if self.is_as_it_should() { self.track.held_back() } else { self.track.ran_ahead() };
        fs::write(verdict, format!("{:?}", self.pauses)).expect("the verdict is written");
        Poll::Ready(Ok(ReadStatus::Ended))
    }

    fn remaining(&self) {}

    fn pause(&mut self) {
        self.is_paused = true;
        self.pauses.push(self.at);
        let mut file =
            File::options().append(true).create(true).open(self.track.pauses()).expect("the pauses are there");
        file.write_all(format!("{}\n", self.at).as_bytes()).expect("a pause is written");
    }

    fn resume(&mut self) {
        self.is_paused = false;
    }
}

struct Slow {
    track: Track,
    records: usize,
}

impl SplitReader<i64, ()> for Slow {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<i64>) -> Poll<TaskResult<ReadStatus>> {
        let at = match self.records.checked_sub(1) {
            None => {
                fs::write(self.track.begun(), "").expect("the beginning is written");
                0
            }
            Some(pauses) => match self.track.pause(pauses) {
                Some(at) => at,
                None if self.track.ran_ahead().exists() => return Poll::Ready(Ok(ReadStatus::Ended)),
                None => {
                    look_again(cx);
                    return Poll::Pending;
                }
            },
        };
        self.records += 1;
        batch.push(at);
        Poll::Ready(Ok(if self.records <= PAUSES { ReadStatus::More } else { ReadStatus::Ended }))
    }

    fn remaining(&self) {}
}

//! The loop that drives a chain from a source.
//!
//! It asks the JobMaster for splits, one at a time, and reads those it has in turn, a batch of one of them at a time. With
//! a watermark strategy each split has a watermark of its own, and the source has the least of them: a split that is
//! behind others of this subtask holds the source back, and loses no records to lateness.
//!
//! # Layout
//! - `open`: the splits that are being read, whose turn it is, and which of them has something
//! - `time`: the watermark of each split, and what the source says of all

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, Behind},
    codec,
    failure::Failure,
};

use super::{
    Prepared, Run, TaskHead, TaskInfo, TaskWiring,
    splits::{Splits, ToSource},
    tail::Tail,
    turn::{Turn, pass},
};
use crate::{
    batch::{BATCH_RECORDS, Batch, Timestamp},
    error::{TaskResult, enter_operator},
    event::Event,
    output::{Drained, Lull, OperatorName, Output, named},
    source::{ReadStatus, Source},
    state::{Progress, StateSize},
    time::WatermarkStrategy,
};

mod open;
mod time;

use open::OpenSplits;
use time::SourceTime;

/// A chain that begins with a source.
pub struct SourceHead<S: Source> {
    source: Arc<S>,
    name: OperatorName,
    out: Box<dyn Output<S::Item>>,
    splits: Splits,
    info: Arc<TaskInfo>,
    open: OpenSplits<S::Item, S::Split>,
    /// What was read last.
    batch: Batch<S::Item>,
    time: SourceTime<S::Item>,
    /// What is still to be said of time.
    said: VecDeque<Event>,
    /// Nothing follows the barrier that was passed on last: the job stops.
    halted: bool,
}

/// What a source waits for.
enum Input {
    /// A split to read, or none any more.
    Split(Option<Bytes>),
    /// A snapshot.
    Barrier(Barrier),
    /// A batch of the split in this place.
    Records(usize, ReadStatus),
    /// The split in this place has found others.
    Found(usize),
}

impl<S: Source> SourceHead<S> {
    /// Reads splits of `source` into `out`; with a strategy, records get their timestamps by it, and there are watermarks
    /// before the last one.
    #[expect(clippy::new_ret_no_self, reason = "a head is only ever used as a task")]
    pub fn new(
        source: Arc<S>,
        name: OperatorName,
        strategy: Option<WatermarkStrategy<S::Item>>,
        out: Box<dyn Output<S::Item>>,
        wiring: &mut TaskWiring,
    ) -> TaskResult<Box<dyn TaskHead>> {
        let (mut splits, info) = (wiring.splits(name.id)?, wiring.info().clone());
        splits.limit(source.concurrent_splits());
        let time = SourceTime::new(strategy, info.clone())?;
        let batch = Batch::with_capacity(BATCH_RECORDS);
        Ok(Box::new(Self {
            source,
            name,
            out,
            splits,
            info,
            open: OpenSplits::new(),
            batch,
            time,
            said: VecDeque::new(),
            halted: false,
        }))
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        loop {
            if !self.halted {
                self.splits.want(self.open.given());
            }
            if self.open.is_empty() && !self.splits.is_awaited() && !self.halted {
                break;
            }
            match turn.wait(&mut self, Self::poll).await? {
                Input::Split(None) => {}
                Input::Split(Some(split)) => self.open_given(&split)?,
                Input::Found(place) => {
                    enter_operator(&self.name.name);
                    for split in self.open.at(place).take_found() {
                        self.open(split, true)?;
                    }
                }
                Input::Barrier(barrier) => {
                    if barrier.behind == Behind::Drain {
                        self.say_end()?;
                        turn.settle(&mut self).await?;
                    }
                    if barrier.may_overtake() {
                        turn.overtake(&mut self, barrier).await?;
                    } else {
                        turn.begin_cut(&mut self, barrier).await?;
                        self.cut();
                        turn.cut(&mut self, barrier).await?;
                    }
                    self.halted |= barrier.behind != Behind::GoOn;
                }
                Input::Records(place, status) => {
                    self.info.figures.records_read(self.batch.len());
                    self.give(&mut turn, place).await?;
                    if status == ReadStatus::Ended {
                        // What it has come to counts, but from then on it holds the others back no more.
                        self.say()?;
                        enter_operator(&self.name.name);
                        self.open.remove(place);
                    }
                    turn.settle_between(&mut self).await?;
                }
            }
        }
        self.say_end()?;
        turn.settle(&mut self).await?;
        turn.end(&mut self).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Input>> {
        if self.splits.has_answer()
            && let Poll::Ready(input) = self.poll_told(cx)
        {
            return Poll::Ready(Ok(input));
        }
        if self.halted {
            return self.poll_told(cx).map(Ok);
        }
        enter_operator(&self.name.name);
        let Self { open, batch, time, name, .. } = self;
        let read = open.poll_read(cx, batch, |split| time.dry(split));
        if let Poll::Ready(read) = read {
            let read = read.map_err(|failure| named(failure, name));
            return Poll::Ready(read.map(|(place, status)| match status {
                ReadStatus::More if batch.is_empty() => Input::Found(place),
                ReadStatus::More | ReadStatus::Ended => Input::Records(place, status),
            }));
        }
        self.poll_told(cx).map(Ok)
    }

    /// What the JobMaster says. What is heard of the alignment group on the way is acted on.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        loop {
            match ready!(self.splits.poll_answer(cx)) {
                ToSource::Split { split, .. } => return Poll::Ready(Input::Split(split)),
                ToSource::Barrier(barrier) => return Poll::Ready(Input::Barrier(barrier)),
                ToSource::Group { watermark } => {
                    enter_operator(&self.name.name);
                    self.time.hear(&mut self.open, watermark);
                    // Those that are to be read again have not been asked.
                    cx.waker().wake_by_ref();
                }
            }
        }
    }

    fn open_given(&mut self, split: &Bytes) -> TaskResult {
        let split = codec::decode(split)
            .map_err(|error| named(Box::new(Failure::internal("a split cannot be read").because(error)), &self.name))?;
        enter_operator(&self.name.name);
        self.open(split, false)
    }

    fn open(&mut self, split: S::Split, is_found: bool) -> TaskResult {
        let reader = self.source.open(split, &self.info).map_err(|failure| named(failure, &self.name))?;
        self.open.add(reader, self.time.split(), is_found);
        Ok(())
    }

    /// Gives a snapshot what is left of the splits that are open.
    fn cut(&self) {
        enter_operator(&self.name.name);
        let remaining: Vec<S::Split> = self.open.remaining().collect();
        let encode = |split| codec::to_vec(split).map(Bytes::from);
        let encoded: Result<Vec<_>, _> = remaining.iter().map(encode).collect();
        let snapshots = &self.info.snapshots;
        match encoded {
            Ok(splits) => snapshots.splits(self.name.id, splits),
            Err(error) => {
                let failure = Box::new(Failure::user("a split cannot be encoded").caused_by(&error));
                return snapshots.fail(named(failure, &self.name));
            }
        }
        if let Some(data) = self.source.prepare_commit(&remaining) {
            snapshots.prepared(self.name.id, data);
        }
    }

    // ------------------------------------------------------------ time

    /// Passes on what was read of the split in `place`, with its timestamps and the watermarks that follow from it.
    async fn give(&mut self, turn: &mut Turn, place: usize) -> TaskResult {
        if self.time.is_plain() {
            return self.out.collect(&mut self.batch);
        }
        let now = self.time.now();
        let due = self.time.beat(now);
        let split = &mut self.open.at(place).time;
        split.dryness.end();
        if std::mem::take(&mut split.idle) {
            // It is active again before it gives anything.
            self.say()?;
            turn.settle(self).await?;
        }
        enter_operator(&self.name.name);
        let assigner = &mut self.open.at(place).time.assigner;
        assigner.stamp(&mut self.batch).map_err(|failure| named(failure, &self.name))?;
        if assigner.is_own() {
            self.give_in_parts(turn, place).await?;
        } else {
            assigner.observe(&self.batch, 0);
            self.out.collect(&mut self.batch)?;
        }
        enter_operator(&self.name.name);
        self.time.check(&mut self.open, place);
        if due { self.advance(now) } else { Ok(()) }
    }

    /// For generators that look at single records: passes on records as far as one behind which the source has a new
    /// watermark, that watermark, and so on.
    async fn give_in_parts(&mut self, turn: &mut Turn, place: usize) -> TaskResult {
        let mut cuts = Vec::new();
        let mut seen = 0;
        let mut said = self.time.watermark();
        while seen < self.batch.len() {
            seen += self.open.at(place).time.assigner.observe(&self.batch, seen);
            let watermark = self.open.least();
            if watermark > said {
                said = watermark;
                cuts.push((seen, watermark));
            }
        }
        let mut batch = std::mem::take(&mut self.batch);
        let (mut records, mut timestamps) = (batch.records.drain(..), batch.timestamps.drain(..));
        let mut part = Batch::default();
        let mut given = 0;
        for (end, watermark) in cuts {
            part.records.extend(records.by_ref().take(end - given));
            part.timestamps.extend(timestamps.by_ref().take(end - given));
            given = end;
            self.out.collect(&mut part)?;
            self.time.pass(watermark, |event| self.said.push_back(event));
            self.tell()?;
            turn.settle(self).await?;
        }
        part.records.extend(records);
        part.timestamps.extend(timestamps);
        self.out.collect(&mut part)?;
        self.batch = batch;
        Ok(())
    }

    /// Gives the watermark, asking everyone how far they have come.
    fn advance(&mut self, now: Timestamp) -> TaskResult {
        enter_operator(&self.name.name);
        self.time.ask_generators(&mut self.open, now);
        self.say()?;
        self.align(now);
        Ok(())
    }

    /// The source may have come further: its splits may, and its group is to hear of it.
    fn align(&mut self, now: Timestamp) {
        enter_operator(&self.name.name);
        self.time.align(&mut self.open);
        if let Some((group, watermark)) = self.time.report(&self.open, now) {
            self.splits.say_watermark(group, watermark);
        }
    }

    /// Says what is new of all splits together, and leaves what comes after a watermark to [`resume`](Tail::resume).
    fn say(&mut self) -> TaskResult {
        self.time.settle(&self.open, self.splits.is_awaited(), |event| self.said.push_back(event));
        self.tell()
    }

    fn say_end(&mut self) -> TaskResult {
        if let Some(group) = self.time.last_report() {
            self.splits.say_watermark(group, None);
        }
        // Time ends with the input: every window is complete.
        self.time.pass(Timestamp::MAX, |event| self.said.push_back(event));
        self.tell()
    }

    fn tell(&mut self) -> TaskResult {
        while let Some(event) = self.said.pop_front() {
            self.out.event(event)?;
            if let Event::Watermark(watermark) = event {
                self.info.figures.watermark(watermark);
                break;
            }
        }
        Ok(())
    }
}

impl<S: Source> Tail for SourceHead<S> {
    fn event(&mut self, event: Event) -> TaskResult {
        self.out.event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        let behind = self.out.resume()?;
        if behind != Drained::All {
            return Ok(behind);
        }
        if self.said.is_empty() {
            return Ok(Drained::All);
        }
        self.tell()?;
        Ok(Drained::Some)
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        if !self.time.is_plain() {
            self.time.watch_idleness(&mut self.open, now);
            self.say()?;
            self.align(now);
        }
        self.out.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        if !self.time.is_plain() {
            let now = self.time.now();
            self.time.rest(now);
            self.advance(now)?;
        }
        self.out.quiet(lull)
    }

    fn lull(&self) -> Lull {
        if self.halted || self.open.is_any_paused() { Lull::Held } else { Lull::Dry }
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        self.out.drain()
    }

    fn snapshot_more(&mut self) -> Progress {
        self.out.snapshot_more()
    }

    fn skip(&mut self) {
        self.out.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.out.poll_settle(cx)
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.out.poll_due(cx)
    }

    fn prepared(&mut self, into: &mut Prepared) -> TaskResult {
        self.out.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.out.state_size()
    }

    fn may_cut(&self) -> bool {
        self.said.is_empty() && self.out.may_cut()
    }

    fn poll_overtaking(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
        self.splits.poll_overtaking(cx).map(Ok)
    }

    fn overtake(&mut self, barrier: Barrier) -> TaskResult {
        // Splits that were handed out before the barrier was sent are counted as this source's.
        while let Some(told) = self.splits.take_before(barrier) {
            match told {
                ToSource::Split { split: Some(split), .. } => self.open_given(&split)?,
                ToSource::Split { split: None, .. } | ToSource::Barrier(_) => {}
                ToSource::Group { watermark } => {
                    enter_operator(&self.name.name);
                    self.time.hear(&mut self.open, watermark);
                }
            }
        }
        self.cut();
        Ok(())
    }
}

impl<S: Source> TaskHead for SourceHead<S> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }

    fn pass(self: Box<Self>) -> Run {
        Box::pin(pass(self.out, self.info))
    }
}

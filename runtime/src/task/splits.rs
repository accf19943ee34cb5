//! A source's way to the JobMaster: it asks for splits, and for how far its alignment group has come.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flott_core::{checkpoint::Barrier, id::OperatorId, message::HostToJob};
use tokio::sync::mpsc;

use super::{TaskInfo, wiring::Report};
use crate::batch::Timestamp;

/// What the JobMaster says to a source: answers, so no more of them can wait than were asked for, and barriers, of which there
/// are as many as checkpoints under way.
#[derive(Debug)]
pub enum ToSource {
    /// Answers the request for a split.
    Split {
        /// The split; `None` when there are no more.
        split: Option<Bytes>,
        /// Splits that this subtask is to hold open at most.
        share: u32,
    },
    /// Answers the word of the source's own watermark.
    Group {
        /// The least watermark of the others of its alignment group; `None` when there is nobody to wait for.
        watermark: Option<Timestamp>,
    },
    /// A snapshot cuts the source's streams where it is now.
    Barrier(Barrier),
}

/// Asks the JobMaster for splits, one at a time.
pub(super) struct Splits {
    source: OperatorId,
    info: Arc<TaskInfo>,
    report: Report,
    answers: mpsc::UnboundedReceiver<ToSource>,
    /// What has come while the source looked for a barrier.
    kept: VecDeque<ToSource>,
    /// A request is on its way.
    asked: bool,
    /// There are no more.
    exhausted: bool,
    /// Splits to be open at a time: no more than the source reads, nor than this subtask's share.
    open_max: usize,
}

impl Splits {
    pub fn new(
        source: OperatorId,
        info: Arc<TaskInfo>,
        report: Report,
        answers: mpsc::UnboundedReceiver<ToSource>,
    ) -> Self {
        Self {
            source,
            info,
            report,
            answers,
            kept: VecDeque::new(),
            asked: false,
            exhausted: false,
            open_max: usize::MAX,
        }
    }

    /// Reads no more splits at a time than this; at least 1.
    pub fn limit(&mut self, open_max: usize) {
        self.open_max = self.open_max.min(open_max).max(1);
    }

    /// Asks for another split if `open` of them are not enough, and the last request is answered.
    pub fn want(&mut self, open: usize) {
        if !self.asked && !self.exhausted && open < self.open_max {
            self.asked = true;
            (self.report)(HostToJob::RequestSplit { attempt: self.info.attempt, source: self.source });
        }
    }

    /// Whether another split may come that was asked for.
    pub fn is_awaited(&self) -> bool {
        self.asked
    }

    /// Says how far the source has come; the answer comes by [`poll_answer`](Self::poll_answer).
    pub fn say_watermark(&self, group: &str, watermark: Option<Timestamp>) {
        let attempt = self.info.attempt;
        (self.report)(HostToJob::SourceWatermark { attempt, group: group.to_owned(), watermark });
    }

    /// Whether there is an answer to take. Costs next to nothing.
    pub fn has_answer(&self) -> bool {
        !self.kept.is_empty() || !self.answers.is_empty()
    }

    /// The next answer. Pends for ever when the host is going down.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<ToSource> {
        let answer = match self.kept.pop_front() {
            Some(answer) => answer,
            None => match ready!(self.answers.poll_recv(cx)) {
                Some(answer) => answer,
                None => return Poll::Pending,
            },
        };
        Poll::Ready(self.taken(answer))
    }

    fn taken(&mut self, answer: ToSource) -> ToSource {
        if let ToSource::Split { split, share } = &answer {
            let (is_last, share) = (split.is_none(), *share as usize);
            self.asked = false;
            self.exhausted |= is_last;
            self.limit(share);
        }
        answer
    }

    /// Takes what has come before `barrier`, one after the other, then that itself; nothing if it is not there, as it was taken.
    pub fn take_before(&mut self, barrier: Barrier) -> Option<ToSource> {
        let is_it = |answer: &ToSource| matches!(answer, ToSource::Barrier(known) if *known == barrier);
        if !self.kept.iter().any(is_it) {
            return None;
        }
        let answer = self.kept.pop_front()?;
        Some(self.taken(answer))
    }

    /// The first barrier that has come, if it may overtake. It stays where it is among the answers.
    pub fn poll_overtaking(&mut self, cx: &mut Context<'_>) -> Poll<Barrier> {
        while let Poll::Ready(Some(answer)) = self.answers.poll_recv(cx) {
            self.kept.push_back(answer);
        }
        let barriers = self.kept.iter().filter_map(|answer| match answer {
            ToSource::Barrier(barrier) => Some(*barrier),
            ToSource::Split { .. } | ToSource::Group { .. } => None,
        });
        match barriers.take(1).find(|barrier| barrier.may_overtake()) {
            Some(barrier) => Poll::Ready(barrier),
            None => Poll::Pending,
        }
    }
}

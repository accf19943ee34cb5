//! What a snapshot has of the streams into an input: it comes before anything else.
//!
//! With as many consumers as before, each takes the streams that led to it. With others, records by key and by the user's rule go
//! where that says; each consumer reads all of them and takes its own. Records that may go anywhere stay together by the
//! consumer that they were for.
//!
//! Streams say their watermarks together, as the channels did that they come from; what they have said holds for all that comes
//! after, whoever it comes from: no record that follows would not have been late already.

use std::{collections::VecDeque, sync::Arc};

use flott_core::{failure::Failure, id::SubtaskIndex, key_group::Router};

use super::GateItem;
use crate::{
    batch::{Batch, Data, Timestamp},
    channel::{
        Partitioner, body,
        merge::EventMerge,
        partition::{Kind, Route, Routes},
    },
    error::TaskResult,
    event::Event,
    net::Frame,
    snapshot::in_flight::{Edge, End, Heard, Item, Segment},
};

/// Edges into an input, each with the rule of its records if that has a say.
pub(crate) struct Claims<T> {
    /// The edges.
    pub edges: Vec<(Arc<Edge>, Option<Partitioner<T>>)>,
    /// Whose input it is.
    pub subtask: SubtaskIndex,
    /// Of how many.
    pub parallelism: u32,
    /// Where key groups are now.
    pub router: Router,
    /// Whether streams of no edge are left behind, rather than refused.
    pub ignore_unclaimed: bool,
}

/// Says to which consumer each record belongs.
type Rule<T> = Box<dyn Route<T>>;

/// What is left of the streams.
pub(crate) struct Replay<T> {
    streams: Vec<Stream>,
    /// The first that has something left.
    next: usize,
    rules: Vec<(Arc<Edge>, Option<Rule<T>>)>,
    merge: EventMerge,
    said: VecDeque<Event>,
    own: SubtaskIndex,
    parallelism: u32,
}

struct Stream {
    /// Place among the rules.
    edge: usize,
    from: SubtaskIndex,
    to: SubtaskIndex,
    /// Where it says its watermarks; `None` if they do not count.
    channel: Option<usize>,
    /// What its channel had said before.
    heard: Option<Heard>,
    /// Its records are of other consumers too.
    is_shared: bool,
    items: VecDeque<Item>,
}

impl<T: Data> Replay<T> {
    /// Those of `segments` that belong to the consumer. Segments of a stream are in order.
    ///
    /// # Errors
    /// When some belong nowhere.
    pub fn of(mut segments: Vec<Segment>, claims: Claims<T>) -> TaskResult<Option<Self>> {
        let Claims { edges, subtask, parallelism, router, ignore_unclaimed } = claims;
        let rule = |partitioner: Partitioner<T>| match partitioner.0 {
            Kind::Hash(make) => Some(make(router.clone())),
            Kind::Custom(route) => Some(route),
            Kind::Single | Kind::Broadcast | Kind::Rule(_) => None,
        };
        let rules: Vec<_> = edges.into_iter().map(|(edge, partitioner)| (edge, partitioner.and_then(&rule))).collect();
        // Those of one stream stay in order: what its consumer has given is first.
        segments.sort_by(|one, other| key(one).cmp(&key(other)).then(one.end.cmp(&other.end)));
        let mut streams: Vec<Stream> = Vec::new();
        for Segment { edge, from, to, consumers, heard, items, .. } in segments {
            let place = rules.iter().position(|(known, _)| **known == edge);
            let Some(place) = place.or_else(|| rules.iter().position(|(known, _)| known.continues(&edge))) else {
                if ignore_unclaimed {
                    continue;
                }
                return Err(crate::snapshot::without_owner(&edge));
            };
            let is_shared = consumers != parallelism && edge.has_rule();
            let mine = match consumers == parallelism {
                true => to == subtask,
                false => is_shared || to.0 % parallelism == subtask.0,
            };
            if !mine {
                continue;
            }
            if is_shared && rules[place].1.is_none() {
                let message = format!("nobody knows where records of {edge} belong with another parallelism");
                return Err(Box::new(Failure::internal(message)));
            }
            match streams.last_mut().filter(|last| (last.edge, last.from, last.to) == (place, from, to)) {
                Some(last) => {
                    last.heard = last.heard.or(heard);
                    last.items.extend(items);
                }
                None => {
                    streams.push(Stream { edge: place, from, to, channel: None, heard, is_shared, items: items.into() })
                }
            }
        }
        if streams.is_empty() {
            return Ok(None);
        }
        let mut counted = 0;
        for stream in streams.iter_mut().filter(|stream| stream.heard.is_some()) {
            stream.channel = Some(counted);
            counted += 1;
        }
        let merge = EventMerge::new(counted);
        let mut replay = Self { streams, next: 0, rules, merge, said: VecDeque::new(), own: subtask, parallelism };
        for place in 0..replay.streams.len() {
            if let Some(Heard { watermark, idle }) = replay.streams[place].heard {
                replay.hear(place, Event::Watermark(watermark));
                if idle {
                    replay.hear(place, Event::Idle);
                }
            }
        }
        Ok(Some(replay))
    }

    /// A stream has said something of time.
    fn hear(&mut self, place: usize, event: Event) {
        let Self { streams, merge, said, .. } = self;
        let Some(channel) = streams[place].channel else { return };
        // The final watermark is said again by whoever has said it; until then it holds nobody back.
        let event = if event == Event::Watermark(Timestamp::MAX) { Event::End } else { event };
        merge.take(channel, event, |event| {
            if event != Event::End {
                said.push_back(event);
            }
        });
    }

    /// The next batch or event; `None` when all is given.
    pub fn next(&mut self) -> TaskResult<Option<GateItem<T>>> {
        loop {
            if let Some(event) = self.said.pop_front() {
                return Ok(Some(GateItem::Event(event)));
            }
            let Some(stream) = self.streams.get_mut(self.next) else { return Ok(None) };
            match stream.items.pop_front() {
                None => self.next += 1,
                Some(Item::Records { count, timestamps, body }) => {
                    let place = self.next;
                    let batch = self.own(place, Frame { count, timestamps, body })?;
                    if !batch.is_empty() {
                        return Ok(Some(GateItem::Batch(batch)));
                    }
                }
                Some(Item::Watermark(watermark)) => self.hear(self.next, Event::Watermark(watermark)),
                Some(Item::Idle) => self.hear(self.next, Event::Idle),
                Some(Item::Active) => self.hear(self.next, Event::Active),
            }
        }
    }

    /// Records of a stream that belong to this consumer.
    fn own(&mut self, place: usize, frame: Frame) -> TaskResult<Batch<T>> {
        let mut batch = Batch::default();
        body::decode(&frame, &mut batch)?;
        let Stream { edge, is_shared, .. } = self.streams[place];
        let Some(rule) = self.rules[edge].1.as_mut().filter(|_| is_shared) else { return Ok(batch) };
        let mut routes = Routes::default();
        rule.route(&batch.records, self.parallelism, &mut routes)?;
        let mut own = Batch::default();
        let mut timestamps = batch.timestamps.into_iter();
        for (record, target) in batch.records.into_iter().zip(routes.targets) {
            let timestamp = timestamps.next();
            if target == self.own.0 {
                own.push_with(record, timestamp);
            }
        }
        Ok(own)
    }

    /// The watermark that all of them have said together.
    pub fn watermark(&self) -> Timestamp {
        self.merge.said().watermark()
    }

    /// Whether they have said last that they are idle.
    pub fn is_idle(&self) -> bool {
        self.merge.said().is_idle()
    }

    /// What is left of the streams, for a snapshot that is cut before all is given; it stays.
    pub fn rest(&mut self) -> TaskResult<Vec<Segment>> {
        let mut rest = Vec::new();
        for place in 0..self.streams.len() {
            let mut items = Vec::new();
            for item in std::mem::take(&mut self.streams[place].items) {
                match item {
                    Item::Records { count, timestamps, body } if self.streams[place].is_shared => {
                        let own = self.own(place, Frame { count, timestamps, body })?;
                        let mut body = Vec::new();
                        body::encode(&own, own.len(), &mut body)?;
                        let (count, timestamps) = (own.len() as u32, own.has_timestamps());
                        if count > 0 {
                            items.push(Item::Records { count, timestamps, body: body.into() });
                        }
                    }
                    item => items.push(item),
                }
            }
            let stream = &mut self.streams[place];
            // Only its own are left.
            stream.is_shared = false;
            stream.items = items.iter().cloned().collect();
            let heard = stream.channel.and_then(|channel| self.merge.heard(channel));
            let heard = heard.filter(|(watermark, _)| *watermark != Timestamp::MAX);
            rest.push(Segment {
                edge: (*self.rules[stream.edge].0).clone(),
                from: stream.from,
                to: self.own,
                consumers: self.parallelism,
                end: End::Consumer,
                heard: heard.map(|(watermark, idle)| Heard { watermark, idle }),
                items,
            });
        }
        Ok(rest)
    }
}

/// Records that were under way to an operator that is within a chain now: with as many subtasks on both sides there is no stream
/// any more. Watermarks begin anew.
///
/// # Errors
/// When they belong elsewhere, or cannot be decoded.
pub(crate) fn within_chain<T: Data>(
    mut segments: Vec<Segment>,
    subtask: SubtaskIndex,
    parallelism: u32,
) -> TaskResult<Vec<Batch<T>>> {
    segments.sort_by(|one, other| key(one).cmp(&key(other)).then(one.end.cmp(&other.end)));
    let mut batches = Vec::new();
    for segment in segments {
        if segment.edge.has_rule() {
            return Err(crate::snapshot::without_owner(&segment.edge));
        }
        if segment.to.0 % parallelism != subtask.0 {
            continue;
        }
        for item in segment.items {
            if let Item::Records { count, timestamps, body } = item {
                let mut batch = Batch::default();
                body::decode(&Frame { count, timestamps, body }, &mut batch)?;
                batches.push(batch);
            }
        }
    }
    Ok(batches)
}

/// Which stream a segment is of.
fn key(segment: &Segment) -> (&Edge, SubtaskIndex, SubtaskIndex) {
    (&segment.edge, segment.from, segment.to)
}

//! The writer of one subtask.
//!
//! It has a file open for each partition that records come to, and completes it when it is large or old enough, when no record
//! has come to it for a while, when too many are open, at each barrier and at the end. What is complete waits in the
//! [`Room`] for the commit.

use std::{collections::HashMap, mem, sync::Arc};

use bytes::Bytes;
use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Batch, Data, Timestamp},
    error::{TaskResult, UserError, user_failure},
    task::TaskInfo,
};

use super::{FileEncoder, FileFormat, PartFile, PartitionPath, part_file::Meter, rolling::Rolling};
use crate::sink::{
    SinkWriter,
    staging::{Place, Room, cannot},
};

/// Characters of a path that is refused.
const PATH_SHOWN_MAX: usize = 200;

/// Records that an encoder is given at once, at most: the size of a file is looked at in between.
const RECORDS_AT_ONCE: usize = 64;

/// What a sink has been told about its files.
pub(super) struct Shape<T> {
    pub format: Arc<dyn FileFormat<T>>,
    pub partition: Option<Arc<PartitionFunction<T>>>,
    pub rolling: Rolling,
    pub open_max: usize,
}

impl<T> Clone for Shape<T> {
    fn clone(&self) -> Self {
        let Self { format, partition, rolling, open_max } = self;
        Self { format: format.clone(), partition: partition.clone(), rolling: *rolling, open_max: *open_max }
    }
}

/// Fills in where a record goes.
pub(super) type PartitionFunction<T> = dyn Fn(&T, &mut PartitionPath) + Send + Sync;

pub(super) struct Writer<T> {
    shape: Shape<T>,
    room: Room,
    task: Arc<TaskInfo>,
    /// By partition.
    open: HashMap<String, OpenPart<T>>,
    /// Counts uses of files, to tell which was used last.
    uses: u64,
    ended: bool,
}

/// A file that records are written to.
struct OpenPart<T> {
    place: Place,
    encoder: Box<dyn FileEncoder<T>>,
    meter: Arc<Meter>,
    opened: Timestamp,
    written: Timestamp,
    used: u64,
}

impl<T: Data> OpenPart<T> {
    fn begin(place: Place, format: &dyn FileFormat<T>, now: Timestamp) -> TaskResult<Self> {
        let (file, meter) = PartFile::create(&place.path).map_err(|error| cannot("create", &place.path, &error))?;
        let begun = format.begin(file);
        let encoder = begun.map_err(|error| failed(&place, &meter, "a file cannot be begun", format, &error))?;
        Ok(Self { place, encoder, meter, opened: now, written: now, used: 0 })
    }

    fn write(&mut self, records: &[T], format: &dyn FileFormat<T>) -> TaskResult {
        let Self { place, encoder, meter, .. } = self;
        encoder.write(records).map_err(|error| failed(place, meter, "a record cannot be written", format, &error))
    }

    fn bytes(&self) -> u64 {
        self.meter.bytes() + self.encoder.buffered()
    }

    fn complete(self, format: &dyn FileFormat<T>, room: &mut Room) -> TaskResult {
        let Self { place, encoder, meter, .. } = self;
        let finished = encoder.finish();
        let file = finished.map_err(|error| failed(&place, &meter, "a file cannot be finished", format, &error))?;
        let file = file.complete().map_err(|error| cannot("write", &place.path, &error))?;
        room.complete(place, &file)
    }
}

/// The failure of an encoder: that of its file, if it had one.
fn failed<T: Data>(
    place: &Place,
    meter: &Meter,
    what: &str,
    format: &dyn FileFormat<T>,
    error: &UserError,
) -> Box<Failure> {
    match meter.take_error() {
        Some(error) => cannot("write", &place.path, &error),
        None => user_failure(format_args!("{what} as {}", format.name()), error),
    }
}

impl<T: Data> Writer<T> {
    pub fn new(shape: Shape<T>, room: Room, task: Arc<TaskInfo>) -> Self {
        Self { shape, room, task, open: HashMap::new(), uses: 0, ended: false }
    }

    /// Writes records of one partition.
    fn write_to(&mut self, partition: &str, records: &[T], now: Timestamp) -> TaskResult {
        for records in records.chunks(RECORDS_AT_ONCE) {
            if !self.open.contains_key(partition) {
                self.begin(partition, now)?;
            }
            self.uses += 1;
            let Some(part) = self.open.get_mut(partition) else { continue };
            part.write(records, &*self.shape.format)?;
            (part.written, part.used) = (now, self.uses);
            if self.shape.rolling.is_full(part.bytes()) {
                self.complete(partition)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, partition: &str, now: Timestamp) -> TaskResult {
        if self.open.len() >= self.shape.open_max {
            let longest_unused = self.open.iter().min_by_key(|(_, part)| part.used).map(|(name, _)| name.clone());
            longest_unused.map_or(Ok(()), |partition| self.complete(&partition))?;
        }
        let part = OpenPart::begin(self.room.place(partition), &*self.shape.format, now)?;
        self.open.insert(partition.to_owned(), part);
        if let Some(due) = self.shape.rolling.due(now, now) {
            self.task.alarm.set(due);
        }
        Ok(())
    }

    fn complete(&mut self, partition: &str) -> TaskResult {
        match self.open.remove(partition) {
            Some(part) => part.complete(&*self.shape.format, &mut self.room),
            None => Ok(()),
        }
    }

    /// Completes the files of these partitions, in an order that is always the same.
    fn complete_all(&mut self, mut partitions: Vec<String>) -> TaskResult {
        partitions.sort_unstable();
        partitions.iter().try_for_each(|partition| self.complete(partition))
    }

    fn write_partitioned(&mut self, function: &PartitionFunction<T>, batch: &Batch<T>, now: Timestamp) -> TaskResult {
        let Batch { records, timestamps, .. } = batch;
        // Neighbours of one partition are written together.
        let (mut next, mut last, mut begin) = (PartitionPath::default(), PartitionPath::default(), 0);
        for (at, record) in records.iter().enumerate() {
            next.begin(timestamps.get(at).copied());
            function(record, &mut next);
            if at > begin && next.is_as(&last) {
                continue;
            }
            next.check().map_err(|problem| {
                // It may be of any length.
                let shown: String = next.text().chars().take(PATH_SHOWN_MAX).collect();
                let message = format!("a record cannot go to partition {shown:?}: {problem}");
                Box::new(Failure::user(message).fatal())
            })?;
            self.write_to(last.text(), &records[begin..at], now)?;
            begin = at;
            mem::swap(&mut next, &mut last);
        }
        self.write_to(last.text(), &records[begin..], now)
    }
}

impl<T: Data> SinkWriter<T> for Writer<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let now = self.task.clock.now();
        match self.shape.partition.clone() {
            None => self.write_to("", &batch.records, now)?,
            Some(function) => self.write_partitioned(&*function, batch, now)?,
        }
        batch.clear();
        Ok(())
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        let rolling = self.shape.rolling;
        let due = |part: &OpenPart<T>| rolling.due(part.opened, part.written);
        let is_due = |part: &OpenPart<T>| due(part).is_some_and(|due| due <= now);
        let partitions = self.open.iter().filter(|(_, part)| is_due(part)).map(|(name, _)| name.clone()).collect();
        self.complete_all(partitions)?;
        if let Some(next) = self.open.values().filter_map(due).min() {
            self.task.alarm.set(next);
        }
        Ok(())
    }

    fn skip(&mut self) {
        self.ended = true;
    }

    fn finish(&mut self) -> TaskResult {
        self.ended = true;
        Ok(())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        let partitions = self.open.keys().cloned().collect();
        self.complete_all(partitions)?;
        self.room.prepare(self.ended)
    }
}

#[cfg(test)]
mod tests {
    use flott_runtime::time::Clock;

    use super::*;
    use crate::{FileSink, operator::stand::task, sink::staging::Others};

    #[test]
    fn a_full_disk_is_named_whenever_it_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (sink, task) = (FileSink::<u64>::text(directory.path()), task(Clock::System));
        // The second is more than is gathered before it is written.
        for records in [3, 100_000] {
            let mut room = Room::claim(directory.path(), &task, Others::Refuse, "").unwrap();
            let mut place = room.place("");
            // A device that is always full stands in for the disk.
            place.path = "/dev/full".into();
            let part = OpenPart::begin(place, &*sink.shape.format, 0).unwrap();
            let mut writer = Writer::new(sink.shape.clone(), room, task.clone());
            writer.open.insert(String::new(), part);
            let outcome = writer.write(&mut Batch::from((0..records).collect::<Vec<u64>>()));
            let failure = outcome.and_then(|()| writer.prepare_commit()).unwrap_err();
            assert_eq!(failure.message, "cannot write /dev/full: No space left on device (os error 28)");
        }
    }
}

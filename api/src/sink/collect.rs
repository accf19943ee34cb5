//! Back to the caller: each subtask gathers its records, as JSON, in an accumulator of the job.

use std::marker::PhantomData;

use bytes::Bytes;
use flott_core::{failure::Failure, id::OperatorId, view::Accumulator};
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
};

use super::{Sink, SinkTask, SinkWriter};

/// What the accumulators of collecting sinks are named, before the operator's id.
const COLLECTED_PREFIX: &str = "collected-";

/// Bytes of JSON that one subtask may gather.
const BYTES_MAX: usize = 16 << 20;

/// Stands for records that a job will have collected; [`JobResult::collected`](crate::JobResult::collected) gives them.
#[derive(Debug)]
pub struct Collected<T> {
    pub(crate) node: crate::plan::NodeIndex,
    pub(crate) plan: u64,
    pub(crate) record: PhantomData<fn() -> T>,
}

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Self { node: self.node, plan: self.plan, record: PhantomData }
    }
}

/// The name of the accumulator of `sink`.
pub(crate) fn accumulator_name(sink: OperatorId) -> String {
    format!("{COLLECTED_PREFIX}{sink}")
}

/// Whether `name` is that of collected records.
pub(crate) fn is_collected(name: &str) -> bool {
    name.starts_with(COLLECTED_PREFIX)
}

/// Gathers records.
pub(crate) struct CollectSink<T>(PhantomData<fn(T)>);

impl<T> CollectSink<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data> Sink for CollectSink<T> {
    type Item = T;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(Gathered { task: task.clone(), records: Vec::new(), bytes: 0 }))
    }
}

struct Gathered {
    task: SinkTask,
    records: Vec<String>,
    bytes: usize,
}

impl<T: Data> SinkWriter<T> for Gathered {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in batch.records.drain(..) {
            let text = serde_json::to_string(&record).map_err(|error| {
                Box::new(Failure::user("a collected record cannot be written as JSON").caused_by(&error).fatal())
            })?;
            self.bytes += text.len();
            if self.bytes > BYTES_MAX {
                let message = format!(
                    "one subtask has collected more than {} MiB; write large results to files instead",
                    BYTES_MAX >> 20
                );
                return Err(Box::new(Failure::user(message).fatal()));
            }
            self.records.push(text);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> TaskResult<Vec<Bytes>> {
        Ok(self.records.iter().map(|record| Bytes::copy_from_slice(record.as_bytes())).collect())
    }

    fn restore(&mut self, elements: Vec<Bytes>) -> TaskResult {
        for element in elements {
            let text = String::from_utf8(element.into())
                .map_err(|error| Box::new(Failure::user("a collected record is no text").caused_by(&error).fatal()))?;
            self.bytes += text.len();
            self.records.push(text);
        }
        Ok(())
    }

    fn finish(&mut self) -> TaskResult {
        let name = accumulator_name(self.task.name.id);
        let gathered = Accumulator::List(std::mem::take(&mut self.records));
        self.task.task.accumulators.lock().insert(name, gathered);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flott_runtime::{output::OperatorName, time::Clock};

    use super::*;
    use crate::operator::stand::task;

    #[test]
    fn writers_go_on_with_what_others_have_gathered() {
        let name = OperatorName { id: OperatorId::from_bytes([3; 16]), name: "collect".into() };
        let task = SinkTask { task: task(Clock::System), name };
        let open = || CollectSink::<u64>::new().open(&task).unwrap();
        let mut writer = open();
        writer.write(&mut Batch::from(vec![1, 2])).unwrap();
        let elements = writer.snapshot().unwrap();
        writer.write(&mut Batch::from(vec![9])).unwrap();
        let mut writer = open();
        writer.restore(elements).unwrap();
        writer.write(&mut Batch::from(vec![3])).unwrap();
        writer.finish().unwrap();
        let gathered = task.task.accumulators.lock().get(&accumulator_name(task.name.id)).cloned();
        assert_eq!(gathered, Some(Accumulator::List(["1", "2", "3"].map(String::from).into())));
        open().restore(vec![Bytes::from_static(&[255])]).unwrap_err();
    }
}

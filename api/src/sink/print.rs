//! Standard output.

use std::{
    fmt::Display,
    io::{self, Write},
    marker::PhantomData,
};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
};

use super::{Sink, SinkTask, SinkWriter};

/// Prints a line per record.
pub(crate) struct Print<T>(PhantomData<fn(T)>);

impl<T> Print<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Data + Display> Sink for Print<T> {
    type Item = T;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        let prefix = match task.task.parallelism {
            1 => String::new(),
            _ => format!("{}> ", task.task.subtask() + 1),
        };
        Ok(Box::new(Printer { prefix, text: Vec::new() }))
    }
}

struct Printer {
    prefix: String,
    text: Vec<u8>,
}

impl<T: Display> SinkWriter<T> for Printer {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.text.clear();
        for record in batch.records.drain(..) {
            // Writing to a vector fails only where the record's Display does.
            if let Err(error) = writeln!(self.text, "{}{record}", self.prefix) {
                return Err(Box::new(Failure::user("a record cannot be shown").caused_by(&error)));
            }
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.text).and_then(|()| stdout.flush()).map_err(|error| {
            Box::new(Failure::environment(format!("cannot write to standard output: {error}")).fatal())
        })
    }
}

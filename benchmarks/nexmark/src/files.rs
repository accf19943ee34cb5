//! Events in files: one in JSON per line, in the form that the official suite has them in a Kafka topic.
//!
//! The files hold runs of events one after the other, and are read in the order of their names: so what one reader reads
//! is in the order of time, as far as the events are.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use flott::{Environment, Stream};

use crate::{event::Event, generator::Generator};

/// Events that are made at once.
const BATCH_EVENTS: u64 = 1024;
/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes all events of `generator` to `files` files in `directory`, which is made if it is not there; gives their paths.
/// Files of these names are overwritten.
///
/// # Errors
/// When a file cannot be written.
pub fn write(generator: &Generator, directory: &Path, files: u64) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    let (count, files) = (generator.options().count, files.max(1));
    let at = |file: u64| (u128::from(count) * u128::from(file) / u128::from(files)) as u64;
    let digits = (files - 1).to_string().len();
    let mut paths = Vec::new();
    let mut events = Vec::new();
    for file in 0..files {
        let path = directory.join(format!("events-{file:0digits$}.json"));
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, File::create(&path)?);
        let (mut from, to) = (at(file), at(file + 1));
        while from < to {
            let next = to.min(from + BATCH_EVENTS);
            generator.append(from, next, &mut events);
            for event in events.drain(..) {
                serde_json::to_writer(&mut out, &event)?;
                out.write_all(b"\n")?;
            }
            from = next;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        paths.push(path);
    }
    Ok(paths)
}

/// The events of all files in or below `directory`. A line that is no event fails the job.
pub fn read(env: &Environment, directory: &Path) -> Stream<Event> {
    let lines = env.read_text([directory]).name("lines");
    let event = |line: String| {
        serde_json::from_str(&line).map_err(|error| {
            let start: String = line.chars().take(80).collect();
            format!("a line is no event: {error}: {start}")
        })
    };
    lines.try_map(event).name("events")
}

//! Events between processes, and in files.

use std::task::{Context, Poll};

use flott::{Batch, Environment, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};
use flott_nexmark::{
    event::Event,
    files,
    generator::{Generator, Options},
};

fn generator() -> Generator {
    Generator::new(Options { count: 2_000, seed: 3, out_of_order_ms: 20, ..Options::default() }).unwrap()
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| format!("{event:?}"));
    events
}

/// A source whose splits are events: splits go through the engine's own format.
struct Events;

struct Single(Option<Event>);

impl Source for Events {
    type Item = Event;
    type Split = Event;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<Event>> {
        Ok(generator().events())
    }

    fn open(&self, split: Event, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Event, Event>>> {
        Ok(Box::new(Single(Some(split))))
    }
}

impl SplitReader<Event, Event> for Single {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<Event>) -> Poll<TaskResult<ReadStatus>> {
        batch.records.extend(self.0.take());
        Poll::Ready(Ok(ReadStatus::Ended))
    }

    fn remaining(&self) -> Event {
        self.0.clone().expect("it is asked before it has given its record")
    }
}

#[test]
fn events_survive_the_format_between_processes() {
    let env = Environment::local();
    let events = env.from_source(Events, "events").collect();
    let result = env.execute("events").unwrap();
    assert_eq!(sorted(result.collected(&events).unwrap()), sorted(generator().events()));
}

#[test]
fn events_are_read_from_files_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let paths = files::write(&generator(), directory.path(), 3).unwrap();
    assert_eq!(paths.len(), 3);
    let env = Environment::local();
    let events = files::read(&env, directory.path()).collect();
    let result = env.execute("files").unwrap();
    assert_eq!(sorted(result.collected(&events).unwrap()), sorted(generator().events()));
}

#[test]
fn files_hold_runs_of_events_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for path in files::write(&generator(), directory.path(), 12).unwrap() {
        let lines = std::fs::read_to_string(&path).unwrap();
        written.extend(lines.lines().map(|line| serde_json::from_str::<Event>(line).unwrap()));
    }
    assert_eq!(written, generator().events());
    let mut names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names[0], "events-00.json");
    assert_eq!(names.len(), 12);
}

#[test]
fn a_line_that_is_no_event_fails_the_job() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("events-0.json"), "{\"event_type\":7}\n").unwrap();
    let env = Environment::local();
    env.set_restart_strategy(flott::RestartStrategy::None);
    files::read(&env, directory.path()).discard();
    let error = env.execute("files").unwrap_err().to_string();
    assert!(error.contains("a line is no event: event_type is 7"), "{error}");
}

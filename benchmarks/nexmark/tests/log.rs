//! The log of q10 in files, read back.

use std::{collections::BTreeSet, fs, path::Path};

use flott::{Environment, RestartStrategy, Stream};
use flott_nexmark::{
    check::{difference, logged},
    event::{Bid, Event, Time},
    generator::{Generator, Options},
    model,
    queries::q10,
    query::Query,
    source::NexmarkSource,
};

const DAY_MS: i64 = 86_400_000;

/// Writes the log of `events` to `directory`.
fn write(directory: &Path, parallelism: u32, events: impl FnOnce(&Environment) -> Stream<Event>) {
    let env = Environment::local();
    env.set_parallelism(parallelism);
    env.set_restart_strategy(RestartStrategy::None);
    q10::log::write(&q10::plan(&events(&env)), directory);
    env.execute("log").unwrap();
}

/// Directories of days and minutes.
fn partitions(directory: &Path) -> BTreeSet<String> {
    let names = |directory: &Path| {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let minutes = |day: String| {
        let minutes = names(&directory.join(&day));
        minutes.into_iter().map(move |minute| format!("{day}/{minute}"))
    };
    names(directory).into_iter().flat_map(minutes).collect()
}

#[test]
fn bids_are_logged_by_day_and_minute() {
    // Two minutes and a half, the first of them before midnight.
    let base_time = Options::default().base_time - 30_000;
    let options =
        Options { count: 15_000, events_per_second: 100, out_of_order_ms: 3_000, base_time, ..Options::default() };
    let generator = Generator::new(options).unwrap();
    let expected = model::answer(Query::Q10, &generator.events());
    for parallelism in [1, 2, 4] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), parallelism, |env| env.from_source(NexmarkSource::new(generator.clone()), "events"));
        let minutes = ["dt=2015-07-14/hm=23%3A59", "dt=2015-07-15/hm=00%3A00", "dt=2015-07-15/hm=00%3A01"];
        assert_eq!(partitions(directory.path()), minutes.map(str::to_owned).into());
        if let Some(difference) = difference(&expected, &logged(directory.path()).unwrap()) {
            panic!("parallelism {parallelism}: {difference}");
        }
    }
}

#[test]
fn a_line_has_the_columns_that_the_path_does_not_tell() {
    let directory = tempfile::tempdir().unwrap();
    let bids = [Bid::new(1, 2, 3, "x", "y", Time(-1), "a,\"b\""), Bid::new(4, 5, 6, "x", "y", Time(DAY_MS), "")];
    let events = bids.map(Event::Bid).to_vec();
    write(directory.path(), 1, |env| env.from_collection(events.clone()));
    let file = |partition: &str| fs::read_to_string(directory.path().join(partition).join("part-0.csv")).unwrap();
    assert_eq!(file("dt=1969-12-31/hm=23%3A59"), "1,2,3,1969-12-31 23:59:59.999,\"a,\"\"b\"\"\"\n");
    assert_eq!(file("dt=1970-01-02/hm=00%3A00"), "4,5,6,1970-01-02 00:00:00.000,\n");
    assert_eq!(logged(directory.path()).unwrap(), model::answer(Query::Q10, &events));
}

#[test]
fn bids_in_the_wrong_minute_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let events = vec![Event::Bid(Bid::new(1, 2, 3, "", "", Time(0), "e"))];
    write(directory.path(), 1, |env| env.from_collection(events.clone()));
    let day = directory.path().join("dt=1970-01-01");
    fs::rename(day.join("hm=00%3A00"), day.join("hm=00%3A01")).unwrap();
    let found = logged(directory.path()).unwrap();
    assert!(difference(&model::answer(Query::Q10, &events), &found).is_some());
    // What is no log is none without rows.
    fs::rename(day.join("hm=00%3A01"), day.join("minute")).unwrap();
    let error = logged(directory.path()).unwrap_err().to_string();
    assert!(error.contains("dt=1970-01-01/minute is not of a log"), "{error}");
}

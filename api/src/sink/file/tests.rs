//! Writers and commits together, with files of every moment in between.

use std::{collections::BTreeMap, fs};

use flott_core::id::{OperatorId, SubtaskIndex};
use flott_runtime::{
    batch::{Batch, Timestamp},
    output::OperatorName,
    task::TaskInfo,
    time::{Clock, ManualClock},
};

use super::*;
use crate::operator::stand::task;

mod exactly_once;

/// A sink in a directory of its own, and a clock.
struct Stand {
    directory: tempfile::TempDir,
    clock: ManualClock,
    /// The only subtask.
    task: Arc<TaskInfo>,
    sink: FileSink<u64>,
}

/// One of so many subtasks.
fn subtask(subtask: u32, of: u32, clock: &ManualClock) -> Arc<TaskInfo> {
    let mut task = Arc::into_inner(task(Clock::Manual(clock.clone()))).unwrap();
    task.attempt.subtask = SubtaskIndex(subtask);
    task.parallelism = of;
    Arc::new(task)
}

fn open<T: Data>(sink: &FileSink<T>, task: &Arc<TaskInfo>) -> TaskResult<Box<dyn SinkWriter<T>>> {
    let name = OperatorName { id: OperatorId::from_bytes([3; 16]), name: "files".into() };
    sink.open(&SinkTask { task: task.clone(), name })
}

/// Records that are even go to `even`, others to `odd`.
fn by_parity(number: &u64, path: &mut PartitionPath) {
    path.push(if number.is_multiple_of(2) { "even" } else { "odd" });
}

impl Stand {
    fn new(sink: impl FnOnce(FileSink<u64>) -> FileSink<u64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(0);
        let sink = sink(FileSink::text(directory.path()));
        Self { task: subtask(0, 1, &clock), directory, clock, sink }
    }

    fn writer(&self) -> Box<dyn SinkWriter<u64>> {
        open(&self.sink, &self.task).unwrap()
    }

    fn show(&self, prepared: Option<Bytes>) {
        let prepared: Vec<_> = prepared.into_iter().collect();
        self.sink.commit(self.task.job, &prepared).unwrap();
        self.sink.settle(self.task.job, &prepared).unwrap();
    }

    /// Moves the clock, and has the alarm ring if it does.
    fn pass(&self, writer: &mut Box<dyn SinkWriter<u64>>, to: Timestamp) -> bool {
        self.clock.set(to);
        let rung = self.task.alarm.ring(&self.task.clock);
        rung.map_or(Ok(()), |now| writer.time(now)).unwrap();
        rung.is_some()
    }

    /// What is in the visible files, by their names without the job.
    fn visible(&self) -> BTreeMap<String, Vec<u64>> {
        let mark = format!("-{}", &self.task.job.to_string()[..8]);
        let shorten = |(path, text): (String, String)| {
            (path.replace(&mark, ""), text.lines().map(|line| line.parse().unwrap()).collect())
        };
        texts(self.directory.path()).into_iter().map(shorten).collect()
    }

    #[track_caller]
    fn holds(&self, expected: &[(&str, &[u64])]) {
        let expected = expected.iter().map(|(name, numbers)| ((*name).to_owned(), numbers.to_vec()));
        assert_eq!(self.visible(), expected.collect());
    }
}

/// Visible files and what is in them, by their paths below `directory`.
fn texts(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut levels = vec![directory.to_owned()];
    while let Some(level) = levels.pop() {
        for entry in fs::read_dir(level).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                levels.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn write(writer: &mut Box<dyn SinkWriter<u64>>, numbers: impl IntoIterator<Item = u64>) {
    writer.write(&mut Batch::from(numbers.into_iter().collect::<Vec<_>>())).unwrap();
}

#[test]
fn files_roll_at_their_size_and_appear_together() {
    let stand = Stand::new(|sink| sink.roll_at_bytes(6));
    let mut writer = stand.writer();
    (0..8).for_each(|number| write(&mut writer, [number]));
    assert!(stand.visible().is_empty());
    stand.show(writer.prepare_commit().unwrap());
    stand.holds(&[("part-0-0-0", &[0, 1, 2]), ("part-0-0-1", &[3, 4, 5]), ("part-0-0-2", &[6, 7])]);
    // Nothing is open behind a barrier, and nothing is prepared twice.
    assert!(writer.prepare_commit().unwrap().is_none());
    write(&mut writer, [8]);
    stand.show(writer.prepare_commit().unwrap());
    assert_eq!(stand.visible()["part-0-0-3"], [8]);
}

#[test]
fn large_batches_roll_too() {
    let stand = Stand::new(|sink| sink.roll_at_bytes(200));
    let mut writer = stand.writer();
    write(&mut writer, 100..400);
    stand.show(writer.prepare_commit().unwrap());
    let sizes: Vec<usize> = stand.visible().values().map(Vec::len).collect();
    assert_eq!(sizes, [64, 64, 64, 64, 44]);
}

#[test]
fn files_roll_when_they_are_old_or_idle() {
    let wait = Duration::from_millis;
    let stand = Stand::new(|sink| sink.partitioned_by(by_parity).roll_after(wait(100)).roll_when_idle(wait(30)));
    let mut writer = stand.writer();
    stand.clock.set(1_000);
    write(&mut writer, [0, 1]);
    assert!(!stand.pass(&mut writer, 1_020));
    write(&mut writer, [2]);
    // The odd file is idle, the even one not yet.
    assert!(stand.pass(&mut writer, 1_030));
    write(&mut writer, [3]);
    for (at, number) in [(1_049, 4), (1_075, 6), (1_099, 8)] {
        stand.pass(&mut writer, at);
        write(&mut writer, [number]);
    }
    // The even one is old.
    assert!(stand.pass(&mut writer, 1_100));
    write(&mut writer, [10]);
    stand.show(writer.prepare_commit().unwrap());
    stand.holds(&[
        ("even/part-0-0-0", &[0, 2, 4, 6, 8]),
        ("even/part-0-0-3", &[10]),
        ("odd/part-0-0-1", &[1]),
        ("odd/part-0-0-2", &[3]),
    ]);
    // An alarm that was set for a file that is complete finds nothing to do.
    stand.pass(&mut writer, 5_000);
    assert_eq!(stand.task.alarm.next(), None);
}

#[test]
fn no_more_files_are_open_than_may_be() {
    let stand = Stand::new(|sink| sink.partitioned_by(|number, path| _ = path.push(number % 10)).partitions_open(2));
    let mut writer = stand.writer();
    // 3 takes the place of 2, which was used longer ago than 1.
    write(&mut writer, [1, 2, 11, 3, 21, 12]);
    stand.show(writer.prepare_commit().unwrap());
    stand.holds(&[
        ("1/part-0-0-0", &[1, 11, 21]),
        ("2/part-0-0-1", &[2]),
        ("2/part-0-0-3", &[12]),
        ("3/part-0-0-2", &[3]),
    ]);
}

#[test]
fn at_the_end_a_partition_of_one_file_has_a_plain_name() {
    let stand = Stand::new(|sink| sink.partitioned_by(by_parity).roll_at_bytes(4));
    let mut writer = stand.writer();
    for number in [0, 2, 4, 1] {
        write(&mut writer, [number]);
    }
    writer.finish().unwrap();
    stand.show(writer.prepare_commit().unwrap());
    stand.holds(&[("even/part-0-0-0", &[0, 2]), ("even/part-0-0-1", &[4]), ("odd/part-0", &[1])]);
    assert_eq!(fs::read_dir(stand.directory.path()).unwrap().count(), 2, "what was hidden is gone");
}

#[test]
fn what_is_taken_back_leaves_no_partition() {
    let stand = Stand::new(|sink| sink.partitioned_by(|number, path| _ = path.key("a", number).key("b", number)));
    let mut writer = stand.writer();
    write(&mut writer, [1, 2]);
    writer.finish().unwrap();
    let prepared: Vec<_> = writer.prepare_commit().unwrap().into_iter().collect();
    stand.sink.commit(stand.task.job, &prepared).unwrap();
    stand.holds(&[("a=1/b=1/part-0", &[1]), ("a=2/b=2/part-0", &[2])]);
    stand.sink.abort(stand.task.job, OperatorId::from_bytes([0; 16]), &[]).unwrap();
    assert!(!stand.directory.path().exists());
}

#[test]
fn partitions_of_an_earlier_job_are_refused_replaced_or_kept() {
    for what in ["refuse", "replace", "keep"] {
        let stand = Stand::new(|sink| {
            let sink = sink.partitioned_by(by_parity);
            match what {
                "refuse" => sink,
                "replace" => sink.overwrite(),
                _ => sink.append(),
            }
        });
        // Another job has the same empty directory, and is first to show something.
        let mut writer = stand.writer();
        for (path, text) in [("even/part-0-aaaaaaaa-0-0", "70"), ("old/a/part-0", "71"), ("old/a/notes", "")] {
            fs::create_dir_all(stand.directory.path().join(path).parent().unwrap()).unwrap();
            fs::write(stand.directory.path().join(path), text).unwrap();
        }
        write(&mut writer, [0, 1]);
        let prepared: Vec<_> = writer.prepare_commit().unwrap().into_iter().collect();
        let committed = stand.sink.commit(stand.task.job, &prepared);
        match what {
            "refuse" => {
                let message = committed.unwrap_err().message;
                assert!(message.contains("has got old/a/part-0 of somebody else"), "{message}");
            }
            "replace" => {
                committed.unwrap();
                stand.holds(&[("even/part-0-0-0", &[0]), ("odd/part-0-0-1", &[1]), ("old/a/notes", &[])]);
            }
            _ => {
                committed.unwrap();
                assert_eq!(stand.visible().len(), 5);
            }
        }
    }
}

#[test]
fn a_partition_that_is_a_file_is_named() {
    let stand = Stand::new(|sink| sink.append().partitioned_by(by_parity));
    fs::write(stand.directory.path().join("even"), "").unwrap();
    let mut writer = stand.writer();
    write(&mut writer, [0]);
    let prepared: Vec<_> = writer.prepare_commit().unwrap().into_iter().collect();
    let failure = stand.sink.commit(stand.task.job, &prepared).unwrap_err();
    let message = &failure.message;
    assert!(message.starts_with("cannot make ") && message.contains("even/part-0"), "{message}");
    // It is mended while the commit is tried again.
    assert!(failure.may_pass(), "{failure:?}");
    fs::remove_file(stand.directory.path().join("even")).unwrap();
    stand.sink.commit(stand.task.job, &prepared).unwrap();
    stand.holds(&[("even/part-0-0-0", &[0])]);
}

#[test]
fn a_record_of_no_partition_fails_and_is_named() {
    let stand = Stand::new(|sink| sink.partitioned_by(|number, path| _ = path.push(format!("a/../{number}"))));
    let failure = stand.writer().write(&mut Batch::from(vec![7])).unwrap_err();
    assert_eq!(failure.message, "a record cannot go to partition \"a/../7\": \"..\" begins with \".\"");
}

#[test]
fn event_time_is_that_of_each_record() {
    let stand = Stand::new(|sink| {
        sink.partitioned_by(|_, path| match path.event_time() {
            Some(at) => _ = path.hour(at),
            None => _ = path.push("timeless"),
        })
    });
    let mut writer = stand.writer();
    writer.write(&mut Batch::stamped(vec![1, 2, 3], vec![0, 3_600_000, 3_599_999])).unwrap();
    write(&mut writer, [4]);
    stand.show(writer.prepare_commit().unwrap());
    stand.holds(&[
        ("dt=1970-01-01/hour=00/part-0-0-0", &[1, 3]),
        ("dt=1970-01-01/hour=01/part-0-0-1", &[2]),
        ("timeless/part-0-0-2", &[4]),
    ]);
}

#[test]
fn a_subtask_that_had_ended_before_a_restart_leaves_nothing_hidden() {
    let stand = Stand::new(|sink| sink);
    let attempt = || [0, 1].map(|number| open(&stand.sink, &subtask(number, 2, &stand.clock)).unwrap());
    let [mut first, second] = attempt();
    write(&mut first, [1]);
    first.finish().unwrap();
    stand.show(first.prepare_commit().unwrap());
    // Both start from the checkpoint in which the first has ended.
    drop(second);
    let [mut first, mut second] = attempt();
    first.skip();
    stand.show(first.prepare_commit().unwrap());
    write(&mut second, [2]);
    second.finish().unwrap();
    stand.show(second.prepare_commit().unwrap());
    stand.holds(&[("part-0", &[1]), ("part-1", &[2])]);
    assert_eq!(fs::read_dir(stand.directory.path()).unwrap().count(), 2);
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Order {
    name: String,
    cents: Option<u64>,
}

/// What is in the files that a sink writes of these records.
fn written<T: Data>(
    sink: impl FnOnce(&Path) -> FileSink<T>,
    records: Vec<T>,
) -> Result<BTreeMap<String, String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let sink = sink(directory.path());
    let task = subtask(0, 1, &ManualClock::at(0));
    let mut writer = open(&sink, &task).map_err(|failure| failure.to_string())?;
    for record in records {
        writer.write(&mut Batch::from(vec![record])).map_err(|failure| failure.to_string())?;
    }
    writer.finish().unwrap();
    let prepared: Vec<_> = writer.prepare_commit().map_err(|failure| failure.to_string())?.into_iter().collect();
    sink.commit(task.job, &prepared).unwrap();
    Ok(texts(directory.path()))
}

#[test]
fn each_csv_file_has_a_header_and_quotes() {
    let orders = || {
        let order = |name: &'static str, cents| Order { name: name.into(), cents };
        vec![order("plain", Some(1)), order("a, \"b\"\nc", None)]
    };
    let one = |text: &str| Ok(BTreeMap::from([("part-0.csv".to_owned(), text.to_owned())]));
    assert_eq!(
        written(|directory| FileSink::csv(directory), orders()),
        one("name,cents\nplain,1\n\"a, \"\"b\"\"\nc\",\n")
    );
    let format = Csv::new().delimiter(b';').header(false);
    assert_eq!(written(|directory| FileSink::new(directory, format), orders()), one("plain;1\n\"a, \"\"b\"\"\nc\";\n"));
    let rolled = written(|directory| FileSink::csv(directory).roll_at_bytes(15), orders()).unwrap();
    let texts: Vec<_> = rolled.values().map(String::as_str).collect();
    assert_eq!(texts, ["name,cents\nplain,1\n", "name,cents\n\"a, \"\"b\"\"\nc\",\n"]);
    // Tuples have no names.
    let pairs = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
    assert_eq!(written(|directory| FileSink::csv(directory), pairs), one("a,1\nb,2\n"));
}

#[test]
fn a_record_that_is_no_row_is_told() {
    let told = written(|directory| FileSink::csv(directory), vec![BTreeMap::from([(1, 2)])]).unwrap_err();
    assert!(told.contains("a record cannot be written as CSV"), "{told}");
}

#[test]
fn an_extension_that_is_a_path_is_refused() {
    struct Odd;
    impl FileFormat<u64> for Odd {
        fn name(&self) -> &str {
            "odd"
        }

        fn extension(&self) -> &str {
            "../x"
        }

        fn begin(&self, _: PartFile) -> Result<Box<dyn FileEncoder<u64>>, flott_runtime::error::UserError> {
            Err("never begun".into())
        }
    }
    let told = written(|directory| FileSink::new(directory, Odd), vec![1]).unwrap_err();
    assert!(told.contains("the extension \"../x\""), "{told}");
}

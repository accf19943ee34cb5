//! What is written is read back, by another reader than ours.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use flott::{
    FileSink, PartitionPath, Stream,
    testing::{Harness, HarnessOptions},
};
use flott_parquet::{Compression, Parquet};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::metadata::ParquetMetaData};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
    country: String,
    price: f64,
    paid: bool,
    note: Option<String>,
    sort: Sort,
    lines: Vec<Line>,
    tags: BTreeMap<String, i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Sort {
    New,
    Used,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    article: i32,
    pieces: Option<u8>,
}

fn order(number: u64) -> Order {
    let line = |article: u64| Line { article: article as i32 - 2, pieces: (article > 1).then_some(article as u8) };
    Order {
        number,
        country: ["de", "fr", "a/b"][number as usize % 3].into(),
        price: number as f64 / 4.0,
        paid: number.is_multiple_of(2),
        note: number.is_multiple_of(5).then(|| format!("note {number}\n")),
        sort: if number.is_multiple_of(7) { Sort::Used } else { Sort::New },
        lines: (0..number % 4).map(line).collect(),
        tags: (0..number % 3).map(|tag| (tag.to_string(), tag as i32)).collect(),
    }
}

/// Visible files below `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut levels) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(level) = levels.pop() {
        for path in std::fs::read_dir(level).unwrap().map(|entry| entry.unwrap().path()) {
            let hidden = path.file_name().unwrap().to_str().unwrap().starts_with('.');
            match (hidden, path.is_dir()) {
                (true, _) => {}
                (false, true) => levels.push(path),
                (false, false) => found.push(path),
            }
        }
    }
    found.sort();
    found
}

fn rows(file: &Path) -> Vec<Order> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap();
    reader.flat_map(|batch| serde_arrow::from_record_batch::<Vec<Order>>(&batch.unwrap()).unwrap()).collect()
}

fn metadata(file: &Path) -> ParquetMetaData {
    ParquetMetaData::clone(ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().metadata())
}

fn writing(sink: FileSink<Order>, subtasks: u32) -> Harness<Order, Order> {
    Harness::with(HarnessOptions::new().parallelism(subtasks), |orders: Stream<Order>| {
        orders.write_files(sink);
        orders
    })
}

#[test]
fn rows_come_back_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let format = Parquet::new().unwrap().row_group_rows(1_000);
    let mut harness = writing(FileSink::new(directory.path(), format), 1);
    let orders: Vec<_> = (0..5_500).map(order).collect();
    harness.batch(orders.clone()).unwrap();
    harness.end().unwrap();
    let [file] = &files(directory.path())[..] else { panic!("{:?}", files(directory.path())) };
    assert!(file.ends_with("part-0.parquet"));
    assert_eq!(rows(file), orders);
    let metadata = metadata(file);
    assert_eq!(
        metadata.row_groups().iter().map(|group| group.num_rows()).collect::<Vec<_>>(),
        [1_000, 1_000, 1_000, 1_000, 1_000, 500]
    );
    assert_eq!(metadata.row_group(0).column(0).compression(), parquet::basic::Compression::SNAPPY);
}

#[test]
fn files_are_whole_at_each_checkpoint_and_in_their_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let format = Parquet::new().unwrap().compression(Compression::None);
    let by_country = |order: &Order, path: &mut PartitionPath| _ = path.key("country", &order.country);
    let mut harness = writing(FileSink::new(directory.path(), format).partitioned_by(by_country), 2);
    let seen = || {
        let mut rows: Vec<_> = files(directory.path()).iter().flat_map(|file| rows(file)).collect();
        rows.sort_by_key(|order| order.number);
        rows
    };
    harness.push_all((0..10).map(order)).unwrap();
    assert_eq!(seen(), []);
    harness.snapshot().unwrap();
    assert_eq!(seen(), (0..10).map(order).collect::<Vec<_>>());
    harness.push_all((10..20).map(order)).unwrap();
    harness.end().unwrap();
    assert_eq!(seen(), (0..20).map(order).collect::<Vec<_>>());
    for file in files(directory.path()) {
        let country = file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(rows(&file).iter().all(|order| country == format!("country={}", order.country.replace('/', "%2F"))));
    }
}

#[test]
fn files_roll_at_about_their_size() {
    let directory = tempfile::tempdir().unwrap();
    let sink = FileSink::new(directory.path(), Parquet::new().unwrap()).roll_at_bytes(40_000);
    let mut harness = writing(sink, 1);
    harness.batch((0..20_000).map(order)).unwrap();
    harness.end().unwrap();
    let files = files(directory.path());
    let sizes: Vec<_> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
    assert!(files.len() > 2 && sizes.iter().all(|size| *size < 80_000), "{sizes:?}");
    assert_eq!(files.iter().map(|file| rows(file).len()).sum::<usize>(), 20_000);
}

#[test]
fn a_type_without_columns_is_told_at_once() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Event {
        bodies: Vec<Body>,
    }
    #[derive(Clone, Serialize, Deserialize)]
    enum Body {
        Number(u64),
        Text(String),
    }
    let told = Parquet::<Event>::new().err().unwrap().to_string();
    assert!(told.contains("Event cannot be rows of Parquet: bodies.element may be of several kinds"), "{told}");
    assert!(Parquet::<u64>::new().is_err());
}

#[test]
fn a_schema_may_be_given() {
    use flott_parquet::arrow_schema::{DataType, Field, Schema, TimeUnit};
    #[derive(Clone, Serialize, Deserialize)]
    struct Event {
        at: i64,
    }
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), false)]);
    let format = Parquet::<Event>::with_schema(schema).unwrap();
    let mut harness = Harness::new(|events: Stream<Event>| {
        events.write_files(FileSink::new(directory.path(), format));
        events
    });
    harness.push_all([Event { at: 5 }, Event { at: 6 }]).unwrap();
    harness.end().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&files(directory.path())[0]).unwrap()).unwrap();
    assert!(matches!(reader.schema().field(0).data_type(), DataType::Timestamp(TimeUnit::Millisecond, None)));
    assert_eq!(reader.metadata().file_metadata().num_rows(), 2);
}

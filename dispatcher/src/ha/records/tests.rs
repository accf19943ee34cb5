use std::sync::Arc;

use flott_snapshot::S3Options;
use proptest::prelude::*;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A log in a store of its own, in memory.
fn directory() -> Directory {
    Directory::of_store(Arc::new(object_store::memory::InMemory::new()), "memory")
}

async fn open(directory: &Directory) -> (Records, Vec<u8>) {
    let (records, Contents { snapshot, records: read }) = Records::open(directory.clone()).await.unwrap();
    let read = read.iter().flat_map(|record| record.to_vec());
    (records, snapshot.map_or_else(Vec::new, |snapshot| snapshot.to_vec()).into_iter().chain(read).collect())
}

async fn append(records: &mut Records, content: u8) -> Result<(), AppendError> {
    records.append(Bytes::copy_from_slice(&[content])).await
}

#[test]
fn what_was_appended_is_read_also_behind_a_snapshot() {
    runtime().block_on(async {
        let temporary = tempfile::tempdir().unwrap();
        let local = Directory::open(temporary.path().join("log").to_str().unwrap(), &S3Options::default()).unwrap();
        for directory in [directory(), local] {
            let (mut log, read) = open(&directory).await;
            assert!(read.is_empty());
            append(&mut log, 1).await.unwrap();
            append(&mut log, 2).await.unwrap();
            assert_eq!(open(&directory).await.1, [1, 2]);
            log.compact(Bytes::from_static(&[1, 2])).await.unwrap();
            append(&mut log, 3).await.unwrap();
            let (mut log, read) = open(&directory).await;
            assert_eq!(read, [1, 2, 3]);
            log.compact(Bytes::from_static(&[1, 2, 3])).await.unwrap();
            assert_eq!(directory.list("").await.unwrap().len(), 1);
            assert_eq!(open(&directory).await.1, [1, 2, 3]);
        }
    });
}

#[test]
fn who_was_overtaken_writes_nothing_that_counts() {
    runtime().block_on(async {
        let directory = directory();
        let (mut old, _) = open(&directory).await;
        append(&mut old, 1).await.unwrap();
        let (mut new, _) = open(&directory).await;
        append(&mut new, 2).await.unwrap();
        assert!(matches!(old.look().await, Err(AppendError::Overtaken(at)) if at.ends_with('2')));
        new.look().await.unwrap();
        assert!(matches!(append(&mut old, 9).await, Err(AppendError::Overtaken(_))));
        assert_eq!(open(&directory).await.1, [1, 2]);
    });
}

#[test]
fn a_directory_that_was_emptied_is_noticed() {
    runtime().block_on(async {
        let directory = directory();
        let (mut log, _) = open(&directory).await;
        log.look().await.unwrap();
        append(&mut log, 1).await.unwrap();
        log.look().await.unwrap();
        log.compact(Bytes::from_static(&[1])).await.unwrap();
        log.look().await.unwrap();
        append(&mut log, 2).await.unwrap();
        log.look().await.unwrap();
        directory.delete(vec![Name::Record(2).to_string()]).await.unwrap();
        let Err(AppendError::NotWritten(error)) = log.look().await else { panic!("it is gone") };
        assert!(error.to_string().contains("is its directory mounted"), "{error}");
    });
}

#[test]
fn a_place_that_a_compaction_has_freed_is_not_written_to() {
    runtime().block_on(async {
        let directory = directory();
        let (mut old, _) = open(&directory).await;
        let (mut new, _) = open(&directory).await;
        append(&mut new, 1).await.unwrap();
        new.compact(Bytes::from_static(&[1])).await.unwrap();
        new.look().await.unwrap();
        assert!(matches!(old.look().await, Err(AppendError::Overtaken(_))));
        // The place of record 1 is free again, and this writer knows nothing of a snapshot.
        assert!(matches!(append(&mut old, 9).await, Err(AppendError::Overtaken(at)) if at.ends_with(".snapshot")));
        append(&mut new, 2).await.unwrap();
        assert_eq!(open(&directory).await.1, [1, 2]);
        new.compact(Bytes::from_static(&[1, 2])).await.unwrap();
        assert_eq!(directory.list("").await.unwrap().len(), 1);
    });
}

#[test]
fn a_record_that_is_missing_in_the_midst_is_named() {
    runtime().block_on(async {
        let directory = directory();
        let (mut log, _) = open(&directory).await;
        for content in 1..=3 {
            append(&mut log, content).await.unwrap();
        }
        directory.delete(vec![Name::Record(2).to_string()]).await.unwrap();
        let error = Records::open(directory).await.unwrap_err().to_string();
        assert!(error.contains("00000000000000000002: the record is missing"), "{error}");
    });
}

#[test]
fn other_files_are_left_alone() {
    runtime().block_on(async {
        let directory = directory();
        for name in ["1", "readme", "00000000000000000000", "00000000000000000001.tmp"] {
            assert!(matches!(directory.create(name, Bytes::from_static(b"x")).await, Ok(Created::Ours)));
        }
        let (mut log, read) = open(&directory).await;
        assert!(read.is_empty());
        append(&mut log, 1).await.unwrap();
        log.compact(Bytes::from_static(&[1])).await.unwrap();
        assert_eq!(directory.list("").await.unwrap().len(), 5);
    });
}

/// What one of several writers does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Append,
    Compact,
    Open,
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    (0..3usize, prop_oneof![6 => Just(Deed::Append), 1 => Just(Deed::Compact), 2 => Just(Deed::Open)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Writers that know nothing of each other, in any order: what one was told is written is there ever after, once, and nothing else
    /// is.
    #[test]
    fn what_is_written_stays_and_nothing_else_is_there(deeds in prop::collection::vec(deed(), 1..60)) {
        runtime().block_on(async {
            let directory = directory();
            let mut writers = Vec::new();
            for _ in 0..3 {
                writers.push(open(&directory).await);
            }
            let mut expected = Vec::new();
            for (number, (writer, deed)) in deeds.into_iter().enumerate() {
                let (log, state) = &mut writers[writer];
                match deed {
                    Deed::Append => {
                        let content = u8::try_from(number).unwrap();
                        if append(log, content).await.is_ok() {
                            state.push(content);
                            expected.push(content);
                        }
                    }
                    Deed::Compact => log.compact(state.clone().into()).await.unwrap(),
                    Deed::Open => writers[writer] = open(&directory).await,
                }
                prop_assert_eq!(&open(&directory).await.1, &expected);
            }
            Ok(())
        })?;
    }
}

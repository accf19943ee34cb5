//! A gigabyte of state into a local directory and back:
//! `cargo bench -p flott-snapshot --bench state_file [-- DIRECTORY]`.
//!
//! `FLOTT_BENCH_MIB` sets the size, `FLOTT_BENCH_RUNS` the runs, of which the quickest is printed. Two writers share the
//! size as two subtasks would; *file* is how long it takes without the sync to the disk at the end, where that can be told.
//!
//! # The arithmetic
//! A byte is summed up once (some 10 GB/s), copied once by the kernel (some 3 GB/s), and written to the disk when the file
//! is synced: without compression the CPU takes half a second for a gigabyte, and the rest is the disk.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, OperatorId, SubtaskIndex, VertexId},
    key_group::KeyGroup,
};
use flott_snapshot::{
    Compression, DataPath, Directory, Entries, KeyedKind, S3Options, Section, SectionIndex, SectionKind, SnapshotKind,
    StateFile,
};
use futures::TryStreamExt;
use nix::sys::resource::{UsageWho, getrusage};

const GROUPS: u16 = 128;
const WRITERS: u32 = 2;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process knows its own usage");
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// Entries as a count per user and the last text of each would be stored: numbers that differ in few bytes, and words.
fn payload(bytes: usize) -> Bytes {
    const WORDS: [&str; 8] =
        ["auction", "bid", "person", "channel", "https://www.nexmark.com/", "item", "city", "seller"];
    let (mut payload, mut state) = (Vec::with_capacity(bytes + 64), 7_u64);
    while payload.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = state >> 20;
        payload.extend_from_slice(&(drawn % 10_000_000).to_le_bytes());
        payload.extend_from_slice(&(drawn % 1000).to_le_bytes());
        let word = WORDS[(drawn % 8) as usize];
        payload.extend_from_slice(&(word.len() as u32).to_le_bytes());
        payload.extend_from_slice(word.as_bytes());
    }
    payload.truncate(bytes);
    payload.into()
}

async fn write(
    directory: Directory,
    writer: u32,
    bytes: u64,
    payload: Bytes,
    compression: Compression,
) -> (StateFile, Duration) {
    let operator = OperatorId::from_uid("bench");
    let attempt =
        AttemptId { vertex: VertexId::of_chain(operator), subtask: SubtaskIndex(writer), attempt: AttemptNumber(0) };
    let path = DataPath::unique(SnapshotKind::Checkpoint, CheckpointId(1), attempt);
    let mut file = directory.create_file(path, compression);
    let kind = SectionKind::Keyed { kind: KeyedKind::Value, expires: false };
    let section = file.section(Section { operator, name: "state".to_owned(), kind, schema: None }).expect("a section");
    let chunks = bytes / payload.len() as u64;
    let start = Instant::now();
    for chunk in 0..chunks {
        let group = KeyGroup((chunk * u64::from(GROUPS) / chunks) as u16);
        file.chunk(section, Some(group), Entries::Values, 1, payload.clone()).await.expect("a chunk is written");
    }
    let written = start.elapsed();
    (file.finish().await.expect("a file is finished"), written)
}

async fn read(directory: Directory, file: StateFile) -> u64 {
    let reader = directory.open_file(&file).await.expect("a file is opened");
    reader
        .read(SectionIndex(0), None)
        .try_fold(0, |sum, (_, payload)| async move { Ok(sum + payload.len() as u64) })
        .await
        .expect("a file is read")
}

#[tokio::main]
async fn main() {
    let given = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let parent = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory");
    let directory =
        Directory::open(dir.path().to_str().expect("a path in UTF-8"), &S3Options::default()).expect("a directory");
    let bytes = setting("FLOTT_BENCH_MIB", 1024) << 20;
    for (name, compression) in [("none", Compression::None), ("lz4", Compression::Lz4)] {
        for chunk in [64 << 10, 1 << 20] {
            let payload = payload(chunk);
            let mut best: Option<[Duration; 5]> = None;
            let mut stored = 0;
            for _ in 0..setting("FLOTT_BENCH_RUNS", 3) {
                let (start, used) = (Instant::now(), cpu());
                let writers: Vec<_> = (0..WRITERS)
                    .map(|at| {
                        let written =
                            write(directory.clone(), at, bytes / u64::from(WRITERS), payload.clone(), compression);
                        tokio::spawn(written)
                    })
                    .collect();
                let mut files = Vec::new();
                let mut unsynced = Duration::ZERO;
                for writer in writers {
                    let (file, written) = writer.await.expect("a writer does not panic");
                    unsynced = unsynced.max(written);
                    files.push(file);
                }
                let (wall, cpu_write) = (start.elapsed(), cpu() - used);
                stored = files.iter().map(|file| file.bytes).sum();
                let (start, used) = (Instant::now(), cpu());
                let readers: Vec<_> =
                    files.iter().map(|file| tokio::spawn(read(directory.clone(), file.clone()))).collect();
                for reader in readers {
                    let read = reader.await.expect("a reader does not panic");
                    assert_eq!(read, bytes / u64::from(WRITERS) / chunk as u64 * chunk as u64);
                }
                let run = [wall, unsynced, cpu_write, start.elapsed(), cpu() - used];
                if best.is_none_or(|best| run[0] < best[0]) {
                    best = Some(run);
                }
                for file in files {
                    std::fs::remove_file(dir.path().join(file.path.as_str())).expect("a file is removed");
                }
            }
            let [wall, unsynced, cpu_write, read, cpu_read] = best.unwrap_or_default().map(|time| time.as_secs_f64());
            println!(
                "{name:4} {:4} KiB chunks: {:4} MiB in files; write {wall:.2} s (file {unsynced:.2} s, cpu {cpu_write:.2} s); \
                 read {read:.2} s (cpu {cpu_read:.2} s)",
                chunk >> 10,
                stored >> 20,
            );
        }
    }
}

//! Checkpoints of jobs, as they lie in their directory.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// How long a checkpoint may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers of the checkpoints that are complete.
pub fn checkpoints(directory: &Path) -> Vec<u64> {
    let jobs = fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = jobs.flat_map(|job| fs::read_dir(job.path()).into_iter().flatten().flatten());
    let is_manifest =
        |path: &Path| fs::read_to_string(path.join("_metadata")).is_ok_and(|text| text.contains("\"manifest\":"));
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("chk-")?.parse().ok();
    entries.map(|entry| entry.path()).filter(|path| is_manifest(path)).filter_map(|path| number(&path)).collect()
}

/// Waits for a checkpoint that has begun after this was called.
///
/// # Panics
/// When there is none for [`PATIENCE`].
#[track_caller]
pub fn until_checkpoint(directory: &Path) {
    let newest = || checkpoints(directory).into_iter().max().unwrap_or_default();
    let (before, began) = (newest(), Instant::now());
    // The next one may have begun before.
    while newest() < before + 2 {
        assert!(began.elapsed() < PATIENCE, "no checkpoint after {before} for {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

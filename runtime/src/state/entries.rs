//! Entries of tables by key group, encoded.

use flott_core::{codec, failure::Failure};

use super::table::{GroupEntries, GroupSpace, KeyHash};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Gives the entries of each group that has any, in order of groups; see [`Snapshot`](super::Snapshot).
pub(super) fn snapshot<'a, K: Key, V: Data>(
    entries: impl Iterator<Item = &'a (K, V)>,
    groups: GroupSpace,
    sink: &mut dyn FnMut(GroupEntries<'_>) -> TaskResult,
) -> TaskResult {
    let mut ordered: Vec<_> = entries.map(|entry| (KeyHash::of(&entry.0).group(groups.max), entry)).collect();
    ordered.sort_unstable_by_key(|(group, _)| *group);
    let mut bytes = Vec::new();
    for run in ordered.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((group, _)) = run.first() else { continue };
        if !groups.held.contains(*group) {
            return Err(Box::new(Failure::internal(format!(
                "keyed state holds a key of group {group}, but the subtask has groups {}",
                groups.held
            ))));
        }
        bytes.clear();
        for (_, entry) in run {
            codec::encode(entry, &mut bytes)
                .map_err(|error| Box::new(Failure::user("keyed state cannot be encoded").caused_by(&error)))?;
        }
        sink(GroupEntries { group: *group, count: run.len(), bytes: &bytes })?;
    }
    Ok(())
}

/// Has `put` take each of `count` entries, as [`snapshot`] gave them.
pub(super) fn restore<K: Key, V: Data>(count: usize, mut bytes: &[u8], mut put: impl FnMut(K, V)) -> TaskResult {
    let broken = |error: codec::CodecError| Box::new(Failure::user("keyed state cannot be decoded").caused_by(&error));
    for _ in 0..count {
        let (key, value) = codec::decode_prefix(&mut bytes).map_err(broken)?;
        put(key, value);
    }
    if bytes.is_empty() {
        return Ok(());
    }
    Err(Box::new(Failure::user(format!("{} bytes follow the last entry of a keyed state", bytes.len()))))
}

//! The input of word counts: generated once, kept in the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use flott_core::units::ByteSize;
use serde::{Deserialize, Serialize};

use crate::words;

/// A text.
#[derive(Debug, Clone)]
pub struct Text {
    pub path: PathBuf,
    pub words: u64,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    bytes: u64,
    words: u64,
}

/// At most `bytes` of text, from `cache` if it is there.
pub fn of(bytes: u64, cache: &Path) -> anyhow::Result<Text> {
    let path = cache.join(format!("words-{bytes}.txt"));
    let note = cache.join(format!("words-{bytes}.json"));
    // The note is written last: with it the text is whole.
    if let Ok(known) = fs::read(&note)
        && let Ok(Contents { bytes, words }) = serde_json::from_slice(&known)
        && fs::metadata(&path).is_ok_and(|text| text.len() == bytes)
    {
        return Ok(Text { path, words });
    }
    eprintln!("generating {} of text …", ByteSize::from_bytes(bytes));
    fs::create_dir_all(cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let written = words::generate(&path, ByteSize::from_bytes(bytes), words::SEED)?;
    let contents = serde_json::to_vec(&Contents { bytes: written.bytes, words: written.words })?;
    fs::write(&note, contents).with_context(|| format!("{} cannot be written", note.display()))?;
    Ok(Text { path, words: written.words })
}

//! What a state file holds and where: the end of the file.

use std::collections::HashSet;

use flott_core::{
    codec,
    key_group::{KeyGroup, MaxParallelism},
};
use serde::{Deserialize, Serialize};

use super::{CHUNK_BYTES_MAX, FOOTER_BYTES, HEADER, INDEX_BYTES_MAX, Section, SectionIndex, TRAILER};

/// Bytes of the name of a state, and of a schema.
const NAME_BYTES_MAX: usize = 1 << 10;
const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// Sections of a file.
const SECTIONS_MAX: usize = 100_000;
/// LZ4 makes at most so many bytes of one.
const EXPANSION_MAX: u64 = 256;

/// What the entries of a chunk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Entries {
    /// Keys with their values, or elements.
    Values,
    /// Keys that an earlier file of the subtask holds, and that are there no longer.
    Removed,
}

/// What the index says about a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// Which state.
    pub section: SectionIndex,
    /// The group of its keys; `None` where the section has none.
    pub group: Option<KeyGroup>,
    /// Values or removed keys.
    pub entries: Entries,
    /// How many.
    pub count: u64,
    /// Length of the payload.
    pub bytes: u32,
    /// Where it lies in the file.
    pub(super) offset: u64,
    /// Length in the file.
    pub(super) stored: u32,
    /// Whether it is compressed there.
    pub(super) packed: bool,
    /// Of the bytes in the file.
    pub(super) crc: u32,
}

impl Chunk {
    /// Where the chunk ends in the file. Not of a chunk that was read and not yet checked.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.stored)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    pub sections: Vec<Section>,
    pub chunks: Vec<Chunk>,
}

/// Why the end of a file is not that of a state file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub(super) struct IndexError {
    field: String,
    problem: String,
}

impl IndexError {
    #[cold]
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Where the index is, from the footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub offset: u64,
    pub length: u32,
    pub crc: u32,
}

impl Footer {
    pub fn write(self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.crc.to_le_bytes());
        bytes[16..].copy_from_slice(TRAILER);
        bytes
    }

    /// From the end of a file of `file_bytes`.
    pub fn read(end: &[u8], file_bytes: u64) -> Result<Self, IndexError> {
        let Some(footer) = end.last_chunk::<FOOTER_BYTES>() else {
            return Err(IndexError::new("footer", format!("file has {file_bytes} bytes, too few for a state file")));
        };
        let (numbers, trailer) = footer.split_at(16);
        if trailer != TRAILER {
            return Err(IndexError::new("footer", "not that of a state file"));
        }
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| numbers[at + byte]));
        let offset = u64::from(number(4)) << 32 | u64::from(number(0));
        let read = Self { offset, length: number(8), crc: number(12) };
        if read.length > INDEX_BYTES_MAX {
            let problem = format!("{} bytes, expected at most {INDEX_BYTES_MAX}", read.length);
            return Err(IndexError::new("footer.index length", problem));
        }
        let end = offset.checked_add(u64::from(read.length) + FOOTER_BYTES as u64);
        if offset < HEADER.len() as u64 || end != Some(file_bytes) {
            let problem = format!("{offset} does not fit a file of {file_bytes} bytes");
            return Err(IndexError::new("footer.index offset", problem));
        }
        Ok(read)
    }
}

impl Index {
    /// Reads the bytes that `footer` tells of.
    pub fn read(bytes: &[u8], footer: Footer) -> Result<Self, IndexError> {
        let actual = crc32fast::hash(bytes);
        if actual != footer.crc {
            let problem = format!("checksum {:08x}, but the footer says {:08x}: damaged", actual, footer.crc);
            return Err(IndexError::new("index", problem));
        }
        let index: Self = codec::decode(bytes).map_err(|error| IndexError::new("index", error.to_string()))?;
        index.check(footer.offset)?;
        Ok(index)
    }

    /// Checks that sections make sense, and that chunks follow each other without a gap up to `end`.
    fn check(&self, end: u64) -> Result<(), IndexError> {
        if self.sections.len() > SECTIONS_MAX {
            let problem = format!("{} entries, expected at most {SECTIONS_MAX}", self.sections.len());
            return Err(IndexError::new("sections", problem));
        }
        let mut seen = HashSet::new();
        for (at, section) in self.sections.iter().enumerate() {
            check_section(section)
                .map_err(|(field, problem)| IndexError::new(format!("sections[{at}].{field}"), problem))?;
            if !seen.insert((section.operator, section.kind, &section.name)) {
                return Err(IndexError::new(format!("sections[{at}]"), format!("{section} is there twice")));
            }
        }
        let mut offset = HEADER.len() as u64;
        for (at, chunk) in self.chunks.iter().enumerate() {
            let wrong = |field: &str, problem: String| Err(IndexError::new(format!("chunks[{at}].{field}"), problem));
            let Some(section) = self.sections.get(chunk.section.0 as usize) else {
                return wrong(
                    "section",
                    format!("{}, but there are {} sections", chunk.section.0, self.sections.len()),
                );
            };
            if let Err((field, problem)) = check_chunk(section, chunk) {
                return wrong(field, problem);
            }
            if chunk.offset != offset {
                return wrong("offset", format!("{}, expected {offset}", chunk.offset));
            }
            // Both are checked to be small.
            offset = chunk.end();
            if offset > end {
                return wrong("stored", format!("ends at {offset}, behind the index at {end}"));
            }
        }
        if offset != end {
            return Err(IndexError::new("chunks", format!("end at {offset}, but the index is at {end}")));
        }
        Ok(())
    }
}

/// What is wrong with a section: where, and what.
pub(super) fn check_section(section: &Section) -> Result<(), (&'static str, String)> {
    if section.name.len() > NAME_BYTES_MAX {
        return Err(("name", format!("{} bytes, expected at most {NAME_BYTES_MAX}", section.name.len())));
    }
    let Some(schema) = &section.schema else {
        return Ok(());
    };
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(("schema", format!("{} bytes, expected at most {SCHEMA_BYTES_MAX}", schema.len())));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(schema) {
        Ok(_) => Ok(()),
        Err(error) => Err(("schema", format!("not JSON: {error}"))),
    }
}

/// What is wrong with a chunk of a section, apart from where it lies.
pub(super) fn check_chunk(section: &Section, chunk: &Chunk) -> Result<(), (&'static str, String)> {
    let groups = MaxParallelism::LARGEST;
    match (section.kind.has_key_groups(), chunk.group) {
        (true, None) => return Err(("group", format!("{section} is by key group, but the chunk has none"))),
        (false, Some(group)) => {
            return Err(("group", format!("{section} has no key groups, but the chunk has {group}")));
        }
        (true, Some(group)) if u32::from(group.0) >= groups.get() => {
            return Err(("group", format!("{group} is not among {groups} key groups")));
        }
        (true, Some(_)) | (false, None) => {}
    }
    if chunk.bytes as usize > CHUNK_BYTES_MAX || chunk.stored as usize > CHUNK_BYTES_MAX {
        return Err(("bytes", format!("{}, expected at most {CHUNK_BYTES_MAX}", chunk.bytes.max(chunk.stored))));
    }
    let fits = if chunk.packed {
        u64::from(chunk.bytes) <= u64::from(chunk.stored) * EXPANSION_MAX
    } else {
        chunk.bytes == chunk.stored
    };
    if !fits {
        return Err(("bytes", format!("{} do not come of {} stored ones", chunk.bytes, chunk.stored)));
    }
    Ok(())
}

pub(super) fn header_error(start: &[u8]) -> IndexError {
    match start.strip_prefix(&HEADER[..7]).and_then(<[u8]>::first) {
        Some(version) => IndexError::new("version", format!("{version}, expected {}", HEADER[7])),
        None => IndexError::new("header", "not that of a state file"),
    }
}

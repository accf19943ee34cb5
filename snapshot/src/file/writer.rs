//! Writes a state file.

use bytes::Bytes;
use crc32fast::Hasher;
use flott_core::{codec, key_group::KeyGroup};

use super::{
    CHUNK_BYTES_MAX, Chunk, Entries, HEADER, INDEX_BYTES_MAX, Section, SectionIndex,
    index::{Footer, Index, check_chunk, check_section},
    upload::Upload,
};
use crate::{
    directory::Directory,
    error::Error,
    manifest::{Checksum, DataPath, StateFile},
};

/// Sums of chunks shorter than this are taken twice; that is quicker than to put two together.
const COMBINED_BYTES_MIN: usize = 64 << 10;

/// Whether payloads are made smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are: the default, because it costs nothing (decision 0012).
    #[default]
    None,
    /// LZ4, chunk by chunk, where it makes them smaller: for stores behind a narrow line.
    Lz4,
}

/// Writes a state file in one pass. Holds a few parts of it in memory. If it is dropped, nothing is left under the file's
/// name.
///
/// No method is cancel-safe: a writer whose call was dropped is to be dropped too.
pub struct StateFileWriter {
    directory: Directory,
    path: DataPath,
    compression: Compression,
    upload: Upload,
    index: Index,
    offset: u64,
    whole: Hasher,
}

impl StateFileWriter {
    pub(crate) fn new(directory: Directory, path: DataPath, compression: Compression) -> Self {
        let upload = Upload::new(directory.clone(), path.as_str().to_owned());
        let index = Index { sections: Vec::new(), chunks: Vec::new() };
        Self { directory, path, compression, upload, index, offset: 0, whole: Hasher::new() }
    }

    /// Announces a state. Its chunks may come at any time after.
    ///
    /// # Errors
    /// When its name or schema is too long, or the schema is not JSON.
    pub fn section(&mut self, section: Section) -> Result<SectionIndex, Error> {
        check_section(&section).map_err(|(field, problem)| self.content(&format!("{section}: {field}: {problem}")))?;
        let index = SectionIndex(self.index.sections.len() as u32);
        self.index.sections.push(section);
        Ok(index)
    }

    /// Writes `count` entries of a state. Waits while the store is behind.
    ///
    /// # Errors
    /// When the payload is larger than [`CHUNK_BYTES_MAX`], the section is not of this file, or has key groups and `group`
    /// is absent or the other way round; when the store failed.
    pub async fn chunk(
        &mut self,
        section: SectionIndex,
        group: Option<KeyGroup>,
        entries: Entries,
        count: u64,
        payload: Bytes,
    ) -> Result<(), Error> {
        if payload.len() > CHUNK_BYTES_MAX {
            let problem = format!("chunk of {} bytes, expected at most {CHUNK_BYTES_MAX}", payload.len());
            return Err(self.content(&problem));
        }
        self.begin().await?;
        let bytes = payload.len() as u32;
        let (stored, packed) = self.pack(payload);
        let mut sum = Hasher::new();
        sum.update(&stored);
        let offset = self.offset;
        let crc = sum.clone().finalize();
        let chunk = Chunk { section, group, entries, count, bytes, offset, stored: stored.len() as u32, packed, crc };
        let known = self.index.sections.get(section.0 as usize);
        let known = known.ok_or_else(|| self.content(&format!("section {} was not announced", section.0)))?;
        check_chunk(known, &chunk).map_err(|(field, problem)| self.content(&format!("{field}: {problem}")))?;
        self.index.chunks.push(chunk);
        if stored.len() < COMBINED_BYTES_MIN {
            self.whole.update(&stored);
        } else {
            self.whole.combine(&sum);
        }
        self.offset += stored.len() as u64;
        self.upload.add(stored).await
    }

    fn pack(&self, payload: Bytes) -> (Bytes, bool) {
        match self.compression {
            Compression::None => (payload, false),
            Compression::Lz4 => {
                let packed = lz4_flex::block::compress(&payload);
                if packed.len() < payload.len() { (packed.into(), true) } else { (payload, false) }
            }
        }
    }

    /// Bytes so far, of which some may still be under way.
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    /// Completes the file. When it returns, the file is whole and durable, and may be named by a manifest.
    ///
    /// # Errors
    /// When the store failed. The file may be there all the same, if the store's answer was lost.
    pub async fn finish(mut self) -> Result<StateFile, Error> {
        self.begin().await?;
        let mut end = Vec::new();
        codec::encode(&self.index, &mut end).map_err(|error| self.content(&error.to_string()))?;
        let length = u32::try_from(end.len()).ok().filter(|length| *length <= INDEX_BYTES_MAX);
        let length = length.ok_or_else(|| self.content("too many chunks, expected fewer and larger ones"))?;
        end.extend(Footer { offset: self.offset, length, crc: crc32fast::hash(&end) }.write());
        self.add(end.into()).await?;
        let Self { path, upload, offset, whole, .. } = self;
        upload.finish().await?;
        Ok(StateFile { path, bytes: offset, checksum: Checksum(whole.finalize()) })
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.offset == 0 { self.add(Bytes::from_static(HEADER)).await } else { Ok(()) }
    }

    async fn add(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.whole.update(&bytes);
        self.offset += bytes.len() as u64;
        self.upload.add(bytes).await
    }

    fn content(&self, problem: &str) -> Error {
        Error::Content { path: self.directory.shown(self.path.as_str()), problem: problem.to_owned() }
    }
}

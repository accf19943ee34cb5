//! Reads a state file.

use std::ops::Range;

use bytes::Bytes;
use flott_core::key_group::KeyGroupRange;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::{
    Chunk, FOOTER_BYTES, HEADER, Section, SectionIndex,
    index::{Footer, Index, IndexError, header_error},
};
use crate::{directory::Directory, error::Error, manifest::StateFile};

/// Bytes at the end of a file that are read first, in the hope that the index is among them.
const END_BYTES: u64 = 64 << 10;
/// Chunks that lie side by side are read together up to so many bytes.
const READ_BYTES: u64 = 8 << 20;
/// What lies between two chunks is read with them up to so many bytes: that is quicker than another request.
const GAP_BYTES_MAX: u64 = 256 << 10;
/// Reads under way.
const READS_MAX: usize = 2;

/// An open state file: what is in it is known, chunks are read when they are asked for.
#[derive(Debug, Clone)]
pub struct StateFileReader {
    directory: Directory,
    path: String,
    index: Index,
}

impl StateFileReader {
    pub(crate) async fn open(directory: Directory, file: &StateFile) -> Result<Self, Error> {
        let path = file.path.as_str().to_owned();
        let object = directory.object(&path);
        let damaged = |problem: String| Error::Damaged { path: directory.shown(&path), problem };
        let failed = |error: &_| Error::store("reading", directory.shown(&path), error);
        let options = GetOptions { range: Some(GetRange::Suffix(END_BYTES.min(file.bytes))), ..GetOptions::default() };
        let got = match directory.answered(directory.store().get_opts(&object, options)).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Err(damaged("is not there".to_owned())),
            Err(error) => return Err(failed(&error)),
        };
        if got.meta.size != file.bytes {
            return Err(damaged(format!("has {} bytes, expected {}", got.meta.size, file.bytes)));
        }
        let end = directory.answered(got.bytes()).await.map_err(|error| failed(&error))?;
        let wrong = |error: IndexError| damaged(error.to_string());
        let footer = Footer::read(&end, file.bytes).map_err(wrong)?;
        let length = footer.length as usize;
        let index = match end.len().checked_sub(length + FOOTER_BYTES) {
            Some(start) => end.slice(start..start + length),
            None => {
                let range = footer.offset..footer.offset + u64::from(footer.length);
                directory.answered(directory.store().get_range(&object, range)).await.map_err(|error| failed(&error))?
            }
        };
        let index = Index::read(&index, footer).map_err(wrong)?;
        let start = directory.answered(directory.store().get_range(&object, 0..HEADER.len() as u64)).await;
        let start = start.map_err(|error| failed(&error))?;
        if *start != *HEADER {
            return Err(wrong(header_error(&start)));
        }
        Ok(Self { directory, path, index })
    }

    /// The states in the file.
    pub fn sections(&self) -> &[Section] {
        &self.index.sections
    }

    /// The chunks of a state in the order in which they were written; only those of `groups`, if given. Chunks without a
    /// group are always among them.
    pub fn chunks(&self, section: SectionIndex, groups: Option<KeyGroupRange>) -> impl Iterator<Item = &Chunk> {
        self.index.chunks.iter().filter(move |chunk| {
            let wanted = |group| groups.is_none_or(|groups: KeyGroupRange| groups.contains(group));
            chunk.section == section && chunk.group.is_none_or(wanted)
        })
    }

    /// Reads [`chunks`](Self::chunks) with their payloads, a little ahead of whoever takes them. Each payload is whole, or there is an error in its place.
    pub fn read(
        &self,
        section: SectionIndex,
        groups: Option<KeyGroupRange>,
    ) -> impl Stream<Item = Result<(Chunk, Bytes), Error>> + Send + '_ {
        let mut runs: Vec<Vec<Chunk>> = Vec::new();
        for chunk in self.chunks(section, groups) {
            match runs.last_mut() {
                Some(run) if joins(run, chunk) => run.push(*chunk),
                _ => runs.push(vec![*chunk]),
            }
        }
        stream::iter(runs).map(|run| self.read_run(run)).buffered(READS_MAX).try_flatten()
    }

    /// Reads chunks that lie side by side.
    async fn read_run(
        &self,
        run: Vec<Chunk>,
    ) -> Result<impl Stream<Item = Result<(Chunk, Bytes), Error>> + Send + '_, Error> {
        let range = span(&run);
        let object = self.directory.object(&self.path);
        let read = self.directory.answered(self.directory.store().get_range(&object, range.clone())).await;
        let bytes = read.map_err(|error| Error::store("reading", self.directory.shown(&self.path), &error))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.damaged(format!("ends within the chunk at {}", range.start)));
        }
        Ok(stream::iter(run).map(move |chunk| {
            let at = (chunk.offset - range.start) as usize;
            let payload = self.payload(&chunk, bytes.slice(at..at + chunk.stored as usize))?;
            Ok((chunk, payload))
        }))
    }

    fn payload(&self, chunk: &Chunk, stored: Bytes) -> Result<Bytes, Error> {
        let at = chunk.offset;
        let crc = crc32fast::hash(&stored);
        if crc != chunk.crc {
            return Err(self.damaged(format!("chunk at {at} has checksum {crc:08x}, expected {:08x}", chunk.crc)));
        }
        if !chunk.packed {
            return Ok(stored);
        }
        match lz4_flex::block::decompress(&stored, chunk.bytes as usize) {
            Ok(payload) if payload.len() == chunk.bytes as usize => Ok(payload.into()),
            Ok(payload) => {
                Err(self.damaged(format!("chunk at {at} unpacks to {} bytes, expected {}", payload.len(), chunk.bytes)))
            }
            Err(error) => Err(self.damaged(format!("chunk at {at} does not unpack: {error}"))),
        }
    }

    fn damaged(&self, problem: String) -> Error {
        Error::Damaged { path: self.directory.shown(&self.path), problem }
    }
}

/// Whether a chunk is read together with those before it. Groups lie scattered over a file, so who wants some of them wants every
/// other chunk.
fn joins(run: &[Chunk], chunk: &Chunk) -> bool {
    let Range { start, end } = span(run);
    chunk.offset.checked_sub(end).is_some_and(|gap| gap <= GAP_BYTES_MAX) && chunk.end() - start <= READ_BYTES
}

fn span(run: &[Chunk]) -> Range<u64> {
    run.first().map_or(0, |first| first.offset)..run.last().map_or(0, Chunk::end)
}

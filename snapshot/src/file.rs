//! State files: what one subtask writes for one checkpoint.
//!
//! ```text
//! "flottst" version:u8 | chunk | chunk | … | index | index offset:u64 index length:u32 index crc:u32 "flottend"
//! ```
//!
//! A file is written in one pass, because stores cannot seek: chunks as they come, then an index of them, then a footer of
//! fixed length that says where the index is. A chunk is entries of one *section* (one state of one operator), of one key
//! group where the section has such, and holds either values or removed keys. All that describes it stands in the index,
//! so a restore reads the end of the file first, and then the chunks that it needs and no others. Numbers are
//! little-endian; the index is in [`flott_core::codec`].
//!
//! What entries look like inside is not known here.
//!
//! # Checks
//! Each chunk has a CRC-32 of its bytes as stored, the index has one, and the whole file has one that stands in the
//! manifest: it is put together from those of the chunks, so that a byte is summed up once.

mod index;
mod local_parts;
mod reader;
mod section;
#[cfg(test)]
mod tests;
mod upload;
mod writer;

pub use index::{Chunk, Entries};
pub use reader::StateFileReader;
pub use section::{EngineKind, KeyedKind, Section, SectionIndex, SectionKind, Spread, TimeDomain};
pub use writer::{Compression, StateFileWriter};

/// How a file begins: the name of the format, and its version.
const HEADER: &[u8; 8] = b"flottst\x01";
/// How it ends.
const TRAILER: &[u8; 8] = b"flottend";
/// Length of the footer.
const FOOTER_BYTES: usize = 24;
/// Bytes of the payload of a chunk. A restore holds a whole one in memory.
pub const CHUNK_BYTES_MAX: usize = 1 << 30;
/// Bytes of an index.
pub const INDEX_BYTES_MAX: u32 = 1 << 30;

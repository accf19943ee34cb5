use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use flott_core::{
    codec,
    id::OperatorId,
    key_group::{KeyGroup, KeyGroupRange},
};
use futures::{TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart, memory::InMemory, path::Path,
};
use proptest::{prelude::*, sample::Index as Sample};

use super::{
    index::{Footer, Index},
    *,
};
use crate::{
    directory::Directory,
    error::Error,
    manifest::{Checksum, DataPath, StateFile},
};

fn keyed(name: &str) -> Section {
    let kind = SectionKind::Keyed { kind: KeyedKind::Map, expires: true };
    Section { operator: OperatorId::from_uid("op"), name: name.to_owned(), kind, schema: Some("{\"a\":1}".to_owned()) }
}

fn list(name: &str) -> Section {
    Section { kind: SectionKind::OperatorList { spread: Spread::Union }, ..keyed(name) }
}

fn path() -> DataPath {
    "shared/1_file".parse().unwrap()
}

/// A chunk to be written: section, group, entries, count, payload.
type Written = (SectionIndex, Option<KeyGroup>, Entries, u64, Bytes);

async fn write(directory: &Directory, compression: Compression, chunks: &[Written]) -> Result<StateFile, Error> {
    let mut writer = directory.create_file(path(), compression);
    writer.section(keyed("a"))?;
    writer.section(list("b"))?;
    for (section, group, entries, count, payload) in chunks.iter().cloned() {
        writer.chunk(section, group, entries, count, payload).await?;
    }
    writer.finish().await
}

fn memory() -> (Arc<InMemory>, Directory) {
    let store = Arc::new(InMemory::new());
    (store.clone(), Directory::of_store(store, "memory"))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn read_all(
    reader: &StateFileReader,
    section: u32,
    groups: Option<KeyGroupRange>,
) -> Result<Vec<Written>, Error> {
    let chunks: Vec<(Chunk, Bytes)> = reader.read(SectionIndex(section), groups).try_collect().await?;
    Ok(chunks
        .into_iter()
        .map(|(chunk, payload)| (chunk.section, chunk.group, chunk.entries, chunk.count, payload))
        .collect())
}

fn sample() -> Vec<Written> {
    let chunk = |section, group: Option<u16>, entries, count, payload: &'static str| {
        (SectionIndex(section), group.map(KeyGroup), entries, count, Bytes::from_static(payload.as_bytes()))
    };
    vec![
        chunk(0, Some(5), Entries::Values, 2, "five"),
        chunk(1, None, Entries::Values, 1, "list"),
        chunk(0, Some(5), Entries::Removed, 3, "gone"),
        chunk(0, Some(6), Entries::Values, 0, ""),
        chunk(0, Some(32_767), Entries::Values, 9, "last"),
    ]
}

fn any_chunk() -> impl Strategy<Value = Written> {
    let entries = prop_oneof![Just(Entries::Values), Just(Entries::Removed)];
    let payload = (any::<u8>(), 0..100_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let payload = prop_oneof![payload, prop::collection::vec(any::<u8>(), 0..2000)];
    (0..2_u32, 0..32_768_u16, entries, any::<u64>(), payload).prop_map(|(section, group, entries, count, payload)| {
        (SectionIndex(section), (section == 0).then_some(KeyGroup(group)), entries, count, payload.into())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(
        chunks in prop::collection::vec(any_chunk(), 0..20),
        compression in prop_oneof![Just(Compression::None), Just(Compression::Lz4)],
        (start, end) in (0..32_768_u16, 0..32_768_u16),
    ) {
        block_on(async {
            let (store, directory) = memory();
            let file = write(&directory, compression, &chunks).await.unwrap();
            let content = store.get(&directory.object("shared/1_file")).await.unwrap().bytes().await.unwrap();
            prop_assert_eq!(file.bytes, content.len() as u64);
            prop_assert_eq!(file.checksum, Checksum(crc32fast::hash(&content)));
            let reader = directory.open_file(&file).await.unwrap();
            prop_assert_eq!(reader.sections(), &[keyed("a"), list("b")]);
            let groups = KeyGroupRange::new(KeyGroup(start.min(end)), KeyGroup(start.max(end))).unwrap();
            for groups in [None, Some(groups)] {
                for section in [0, 1] {
                    let mut expected = chunks.clone();
                    expected.retain(|(of, group, ..)| {
                        *of == SectionIndex(section) && group.is_none_or(|group| groups.is_none_or(|it| it.contains(group)))
                    });
                    prop_assert_eq!(read_all(&reader, section, groups).await.unwrap(), expected);
                }
            }
            Ok(())
        })?;
    }

    /// The checksum of the index is right here, so that what reads it is reached.
    #[test]
    fn no_index_panics(edits in prop::collection::vec((any::<Sample>(), any::<u8>()), 1..6), cut in any::<Sample>()) {
        let (content, start, end) = block_on(async {
            let (store, directory) = memory();
            write(&directory, Compression::Lz4, &sample()).await.unwrap();
            let content = store.get(&directory.object("shared/1_file")).await.unwrap().bytes().await.unwrap();
            let footer = Footer::read(&content, content.len() as u64).unwrap();
            (content, footer.offset, footer.offset as usize + footer.length as usize)
        });
        let mut index = content[start as usize..end].to_vec();
        for (at, byte) in edits {
            let at = at.index(index.len());
            index[at] = byte;
        }
        for length in [index.len(), cut.index(index.len())] {
            let index = &index[..length];
            let footer = Footer { offset: start, length: length as u32, crc: crc32fast::hash(index) };
            if let Err(error) = Index::read(index, footer) {
                prop_assert!(error.to_string().len() < 2000);
            }
        }
    }

    #[test]
    fn no_footer_panics(end in prop::collection::vec(any::<u8>(), 0..40), bytes in any::<u64>(), sealed in any::<bool>()) {
        let mut end = end;
        if sealed {
            end.extend(TRAILER);
        }
        if let Ok(footer) = Footer::read(&end, bytes) {
            prop_assert_eq!(footer.offset + u64::from(footer.length) + FOOTER_BYTES as u64, bytes);
        }
    }
}

#[test]
fn indexes_that_make_no_sense_are_refused() {
    let index = block_on(async {
        let (_, directory) = memory();
        let file = write(&directory, Compression::None, &sample()).await.unwrap();
        StateFileReader::open(directory, &file).await.unwrap()
    });
    let good =
        Index { sections: index.sections().to_vec(), chunks: index.chunks(SectionIndex(0), None).copied().collect() };
    let end = |index: &Index| index.chunks.last().map_or(8, Chunk::end);
    let check = |spoil: fn(&mut Index), expected: &str| {
        let mut index = Index { sections: good.sections.clone(), chunks: vec![good.chunks[0]] };
        spoil(&mut index);
        let bytes = codec::to_vec(&index).unwrap();
        let footer = Footer { offset: end(&index), length: bytes.len() as u32, crc: crc32fast::hash(&bytes) };
        let found = Index::read(&bytes, footer).map_err(|error| error.to_string());
        let message = found.unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    };
    check(|it| it.chunks[0].section.0 = 2, "chunks[0].section: 2, but there are 2 sections");
    check(|it| it.chunks[0].group = None, "chunks[0].group: state \"a\" of operator");
    check(|it| it.chunks[0].group = Some(KeyGroup(32_768)), "chunks[0].group: 32768 is not among 32768 key groups");
    check(|it| it.chunks[0].section.0 = 1, "chunks[0].group: state \"b\" of operator");
    check(|it| it.chunks[0].bytes += 1, "chunks[0].bytes: 5 do not come of 4 stored ones");
    check(|it| (it.chunks[0].packed, it.chunks[0].bytes) = (true, 4000), "chunks[0].bytes: 4000 do not come of");
    check(|it| it.chunks[0].offset += 1, "chunks[0].offset: 9, expected 8");
    check(
        |it| it.chunks.insert(0, Chunk { stored: 9, bytes: 9, ..it.chunks[0] }),
        "chunks[0].stored: ends at 17, behind",
    );
    check(|it| it.sections[1] = it.sections[0].clone(), "sections[1]: state \"a\" of operator");
    check(|it| it.sections[0].name = "x".repeat(1025), "sections[0].name: 1025 bytes, expected at most 1024");
    check(|it| it.sections[0].schema = Some("{".to_owned()), "sections[0].schema: not JSON: EOF");
}

#[test]
fn every_damaged_byte_is_noticed() {
    block_on(async {
        let (store, directory) = memory();
        let file = write(&directory, Compression::None, &sample()).await.unwrap();
        let object = directory.object("shared/1_file");
        let content = store.get(&object).await.unwrap().bytes().await.unwrap();
        for at in 0..content.len() {
            let mut damaged = content.to_vec();
            damaged[at] ^= 1;
            store.put(&object, damaged.into()).await.unwrap();
            let error = match directory.open_file(&file).await {
                Ok(reader) => match read_all(&reader, 0, None).await {
                    Ok(_) => read_all(&reader, 1, None).await.unwrap_err(),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            assert!(
                matches!(&error, Error::Damaged { path, .. } if path == "memory/shared/1_file"),
                "byte {at}: {error}"
            );
        }
        store.put(&object, content.slice(1..).into()).await.unwrap();
        let error = directory.open_file(&file).await.unwrap_err().to_string();
        assert_eq!(error, format!("memory/shared/1_file: has {} bytes, expected {}", file.bytes - 1, file.bytes));
        store.delete(&object).await.unwrap();
        assert_eq!(directory.open_file(&file).await.unwrap_err().to_string(), "memory/shared/1_file: is not there");
    });
}

#[test]
fn what_does_not_fit_a_file_is_refused() {
    block_on(async {
        let (store, directory) = memory();
        let mut writer = directory.create_file(path(), Compression::None);
        let section = writer.section(list("b")).unwrap();
        let error = writer.section(Section { schema: Some("no".to_owned()), ..keyed("a") }).unwrap_err();
        assert!(error.to_string().contains("schema: not JSON"), "{error}");
        for (section, group) in [(section, Some(KeyGroup(1))), (SectionIndex(7), None)] {
            let error = writer.chunk(section, group, Entries::Values, 1, Bytes::new()).await.unwrap_err();
            assert!(matches!(error, Error::Content { .. }), "{error}");
        }
        drop(writer);
        assert!(
            store.get(&directory.object("shared/1_file")).await.is_err(),
            "a file that was not finished has its name"
        );
    });
}

/// A disk that is full after so many parts.
#[derive(Debug)]
struct FullDisk(InMemory, usize);

#[derive(Debug)]
struct FullUpload(Box<dyn MultipartUpload>, usize);

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("full disk")
    }
}

#[async_trait::async_trait]
impl MultipartUpload for FullUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.1.checked_sub(1) {
            Some(left) => {
                self.1 = left;
                self.0.put_part(data)
            }
            None => Box::pin(async {
                Err(object_store::Error::Generic { store: "full", source: "no space left on device".into() })
            }),
        }
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.0.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.0.abort().await
    }
}

#[async_trait::async_trait]
impl ObjectStore for FullDisk {
    async fn put_opts(&self, at: &Path, payload: PutPayload, opts: PutOptions) -> object_store::Result<PutResult> {
        self.0.put_opts(at, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(FullUpload(self.0.put_multipart_opts(at, opts).await?, self.1)))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.0.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[test]
fn a_full_disk_leaves_no_file() {
    let part = Bytes::from(vec![1; 8 << 20]);
    let chunks = vec![(SectionIndex(1), None, Entries::Values, 1, part); 6];
    for parts in 0..7 {
        block_on(async {
            let store = Arc::new(FullDisk(InMemory::new(), parts));
            let directory = Directory::of_store(store.clone(), "disk");
            let error = write(&directory, Compression::None, &chunks).await.unwrap_err();
            assert!(error.to_string().contains("no space left on device"), "{error}");
            assert!(store.0.get(&directory.object("shared/1_file")).await.is_err(), "a torn file has its name");
        });
    }
    block_on(async {
        let directory = Directory::of_store(Arc::new(FullDisk(InMemory::new(), 7)), "disk");
        let file = write(&directory, Compression::None, &chunks).await.unwrap();
        assert_eq!(read_all(&directory.open_file(&file).await.unwrap(), 1, None).await.unwrap(), chunks);
    });
}

use super::*;

fn store() -> (tempfile::TempDir, BlobStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = BlobStore::open(directory.path().join("blobs")).unwrap();
    (directory, store)
}

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn files(store: &BlobStore) -> usize {
    store.files().unwrap().len()
}

#[test]
fn a_blob_is_named_by_its_content() {
    let (_directory, store) = store();
    let lease = store.put(b"program").unwrap();
    assert_eq!((lease.digest(), lease.size()), (Digest::of(b"program"), 7));
    let (path, size) = store.locate(lease.digest()).unwrap();
    assert_eq!((fs::read(path).unwrap(), size), (b"program".to_vec(), 7));
}

#[test]
fn a_wrong_digest_is_refused_and_leaves_nothing() {
    let (_directory, store) = store();
    let mut upload = store.upload(100).unwrap();
    upload.write(b"something else").unwrap();
    let error = upload.finish(Some(Digest::of(b"program"))).unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
    assert_eq!(files(&store), 0);
}

#[test]
fn an_upload_is_bounded_and_leaves_nothing() {
    let (_directory, store) = store();
    let mut upload = store.upload(10).unwrap();
    upload.write(b"1234567890").unwrap();
    assert!(matches!(upload.write(b"1"), Err(BlobError::TooLarge { limit: 10 })));
    drop(upload);
    assert_eq!(files(&store), 0);
}

#[test]
fn a_blob_goes_with_its_last_reference() {
    let (_directory, store) = store();
    let lease = store.put(b"shared").unwrap();
    let digest = lease.digest();
    store.adopt(job(1), [digest]);
    store.adopt(job(2), [digest]);
    drop(lease);
    store.release(job(1)).unwrap();
    assert!(store.locate(digest).is_ok());
    store.release(job(2)).unwrap();
    assert!(matches!(store.locate(digest), Err(BlobError::Missing(_))));
}

#[test]
fn an_unclaimed_upload_stays_for_a_while() {
    let (_directory, store) = store();
    let lease = store.put(b"early").unwrap();
    let digest = lease.digest();
    lease.keep_for(UNCLAIMED);
    assert!(store.lease(digest).is_ok());
    assert!(store.locate(digest).is_ok());
    let lease = store.lease(digest).unwrap();
    lease.keep_for(Duration::ZERO);
    assert!(matches!(store.locate(digest), Err(BlobError::Missing(_))));
}

#[test]
fn a_new_life_sweeps_what_no_job_needs() {
    let (directory, store) = store();
    let kept = store.put(b"needed").unwrap().digest_kept();
    let lost = store.put(b"not needed").unwrap().digest_kept();
    fs::write(store.inner.directory.join("upload-half"), b"x").unwrap();
    let again = BlobStore::open(directory.path().join("blobs")).unwrap();
    again.adopt(job(1), [kept]);
    again.sweep().unwrap();
    assert!(again.locate(kept).is_ok());
    assert!(matches!(again.locate(lost), Err(BlobError::Missing(_))));
    assert_eq!(files(&again), 1);
}

impl Lease {
    /// The digest, with the blob left behind as a crash leaves it.
    fn digest_kept(self) -> Digest {
        let digest = self.digest;
        self.keep_for(UNCLAIMED);
        digest
    }
}

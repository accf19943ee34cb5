//! Uploaded programs in a directory that all JobManagers of a cluster share: objects that are made once, whose names tell ids.

use std::fmt::Write;

use bytes::Bytes;
use flott_snapshot::{
    Directory,
    directory::{CreateError, Created},
};
use tokio::runtime::Handle;

use super::{JarError, PROGRAM_BYTES_MAX};

/// What there is. Methods block on the directory.
#[derive(Debug, Clone)]
pub(super) struct SharedJars {
    pub directory: Directory,
    pub runtime: Handle,
}

/// A program that is there.
pub(super) struct Listed {
    pub id: String,
    pub bytes: u64,
    /// Milliseconds since the epoch.
    pub uploaded_at: u64,
}

impl SharedJars {
    pub fn list(&self) -> Result<Vec<Listed>, JarError> {
        let objects = self.runtime.block_on(self.directory.list("")).map_err(failed("list"))?;
        let listed = objects.into_iter().filter_map(|object| {
            Some(Listed { id: id_of(&object.path)?, bytes: object.bytes, uploaded_at: object.modified_at_ms })
        });
        Ok(listed.collect())
    }

    pub fn create(&self, id: &str, content: Bytes) -> Result<(), JarError> {
        self.runtime.block_on(async {
            self.directory.make().await.map_err(failed("write"))?;
            match self.directory.create(&object(id), content).await {
                // Nobody else draws this id.
                Ok(Created::Ours | Created::Taken(_)) => Ok(()),
                Err(CreateError::NotCreated(error) | CreateError::Unknown(error)) => Err(failed("write")(error)),
            }
        })
    }

    /// None if it was deleted in between.
    pub fn read(&self, id: &str) -> Result<Option<Bytes>, JarError> {
        self.runtime.block_on(self.directory.get(&object(id), PROGRAM_BYTES_MAX)).map_err(failed("read"))
    }

    pub fn delete(&self, id: &str) -> Result<(), JarError> {
        self.runtime.block_on(self.directory.delete(vec![object(id)])).map_err(failed("delete"))
    }
}

fn failed(action: &'static str) -> impl Fn(flott_snapshot::Error) -> JarError {
    move |cause| JarError::Shared { action, cause }
}

/// Names of objects have only what every store takes as it is: all else is written `=XX`, byte by byte.
pub(super) fn object(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "={byte:02X}"); // a String takes everything
        }
    }
    name
}

/// None for what is none of ours.
fn id_of(object: &str) -> Option<String> {
    let mut id = Vec::with_capacity(object.len());
    let mut rest = object.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = if *byte == b'=' {
            let (code, after) = after.split_at_checked(2)?;
            id.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
            after
        } else {
            id.push(*byte);
            after
        };
    }
    let id = String::from_utf8(id).ok()?;
    super::is_id(&id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, name: &str) {
        assert_eq!(object(id), name);
        assert_eq!(id_of(name).as_deref(), Some(id));
    }

    #[test]
    fn ids_are_names_of_objects_and_back() {
        check("0a_word-count.bin", "0a_word-count.bin");
        check("0a_Wörter (2)=%", "0a_W=C3=B6rter=20=282=29=3D=25");
        for strange in ["a/b_c", "0a_x=", "0a_x=4", "0a_x=zz", "0a_=FF", ".0a_x", "nosuch", "..", ""] {
            assert_eq!(id_of(strange), None, "{strange}");
        }
    }
}

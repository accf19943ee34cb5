//! Addresses, and the files that tell them.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// `HOST:PORT`, with brackets around an IPv6 address.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Makes a directory that only this user may look into, with its parents.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file whole or not at all.
pub(crate) fn write_file(path: &Path, content: &str) -> io::Result<()> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| writeln!(file, "{content}"))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_stands_in_brackets() {
        assert_eq!(host_port("::1", 80), "[::1]:80");
        assert_eq!(host_port("localhost", 80), "localhost:80");
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobmanager.address");
        write_file(&path, "a:1").unwrap();
        write_file(&path, "b:2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b:2\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

//! A file system of few bytes, and what else disks do.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flott_kubernetes_lab::skipped;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::copy;

/// One that is mounted, gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: String,
    /// On failure, what it holds is copied beside it.
    is_kept: bool,
}

/// What takes up the room of a disk that is full.
const BALLAST: &str = "ballast";

impl SmallDisk {
    /// Makes the directory `path`, and mounts one of `size` there, as mount(8) writes sizes. Needs root: without it, says
    /// on standard error, past the capture of the test harness, that what it is for is skipped.
    ///
    /// # Panics
    /// When the directory cannot be made.
    pub fn mount(path: String, size: &str, what_for: &str) -> Option<Self> {
        fs::create_dir(&path).expect("the sandbox can be written to");
        let options = format!("size={size},mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs", &path]).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { path, is_kept: false }),
            outcome => {
                let why = outcome.map_or_else(
                    |error| error.to_string(),
                    |output| String::from_utf8_lossy(&output.stderr).into_owned(),
                );
                skipped::aloud(what_for, &format!("it needs a tmpfs mount, which failed: {}", why.trim()));
                None
            }
        }
    }

    /// When the test fails, what it holds is copied beside it, to a path that ends in `.kept`.
    #[must_use]
    pub fn kept_if_it_fails(mut self) -> Self {
        self.is_kept = true;
        self
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes all room that there is.
    ///
    /// # Panics
    /// When that cannot be.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("the disk can be written to");
        let zeros = [0; 4096];
        loop {
            match ballast.write_all(&zeros) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
                Err(error) => panic!("{} cannot be filled: {error}", self.path),
            }
        }
    }

    /// Gives it back.
    pub fn empty(&self) {
        let _ = fs::remove_file(self.ballast()); // or it was not full
    }

    fn ballast(&self) -> PathBuf {
        Path::new(&self.path).join(BALLAST)
    }
}

/// Exchanges what two paths of one file system name, at once: nobody finds nothing there.
///
/// # Panics
/// When that cannot be.
pub fn exchange(one: &Path, other: &Path) {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
        .expect("two names of one file system can be exchanged");
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_kept && std::thread::panicking() {
            self.empty();
            let kept = format!("{}.kept", self.path);
            if let Err(error) = copy::directory(Path::new(&self.path), Path::new(&kept)) {
                eprintln!("{kept} is not whole: {error}");
            }
        }
        let unmounted = Command::new("umount").args(["--lazy", &self.path]).stdin(Stdio::null()).status();
        let unmounted = unmounted.is_ok_and(|status| status.success());
        assert!(unmounted || std::thread::panicking(), "{} stays mounted", self.path);
    }
}

//! A file system of few bytes, and what else disks do.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use flott_kubernetes_lab::skipped;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// One that is mounted, gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: String,
}

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
            Ok(output) if output.status.success() => Some(Self { path }),
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

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
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
        let unmounted = Command::new("umount").args(["--lazy", &self.path]).stdin(Stdio::null()).status();
        let unmounted = unmounted.is_ok_and(|status| status.success());
        assert!(unmounted || std::thread::panicking(), "{} stays mounted", self.path);
    }
}

//! The real binaries, as cargo has put them beside the executables of the tests.

use std::path::{Path, PathBuf};

/// The path of a binary of this workspace.
///
/// # Panics
/// When it is not built. Cargo builds only the tests' own package, so the others have to be built before.
#[track_caller]
pub fn binary(name: &str) -> String {
    let path = directory().join(name);
    assert!(
        path.is_file(),
        "{} is not built; end-to-end tests run the real binaries: run `cargo build --workspace` first, or `make test`",
        path.display()
    );
    text(&path)
}

/// `target/<profile>`: test executables are in `target/<profile>/deps`, others beside those that are looked for.
fn directory() -> PathBuf {
    let own = std::env::current_exe().expect("a running executable has a path");
    let directory = own.parent().expect("an executable lies in a directory");
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    directory.parent().filter(|_| is_deps).unwrap_or(directory).to_owned()
}

/// A file that comes with the project, by its path from the root.
pub fn shipped(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace");
    text(&root.join(path))
}

/// A path as a command-line argument.
pub fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are UTF-8").to_owned()
}

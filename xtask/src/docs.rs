//! Reference pages that are made from declarations in the code, and so cannot fall behind it.
//!
//! A page is a path and a function that gives its text. Pages about the command line and REST are asked from the built
//! `flott` binary, since their declarations live above what this crate needs to know.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::workspace;

/// A generated page.
struct Page {
    /// Where it lies in the workspace.
    path: &'static str,
    /// Its text; the workspace's folder is given to those that run a built binary.
    text: fn(&Path) -> anyhow::Result<String>,
}

const PAGES: &[Page] = &[
    Page { path: "docs/configuration.md", text: |_| Ok(flott_core::config::reference_markdown()) },
    Page { path: "docs/metrics.md", text: |_| Ok(flott_core::metrics::reference_markdown()) },
    Page { path: "docs/cli.md", text: |root| asked_of_flott(root, "cli") },
    Page { path: "docs/rest.md", text: |root| asked_of_flott(root, "rest") },
    Page { path: "docs/openapi.json", text: |root| asked_of_flott(root, "openapi") },
];

/// What `flott docs <which>` prints.
fn asked_of_flott(root: &Path, which: &str) -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "flott-cli", "--", "docs", which])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("`flott docs {which}` ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Writes the pages, or compares them with what would be written.
pub fn run(check: bool) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let mut stale = 0;
    for page in PAGES {
        let path = root.join(page.path);
        let text = (page.text)(&root).with_context(|| format!("{} cannot be generated", page.path))?;
        let present = match fs::read_to_string(&path) {
            Ok(present) => present,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", page.path)),
        };
        if present == text {
            continue;
        }
        if check {
            stale += 1;
            eprintln!("{}:{} is not what the code says", page.path, first_difference(&present, &text));
        } else {
            fs::write(&path, text).with_context(|| format!("{} cannot be written", page.path))?;
            println!("docs: wrote {}", page.path);
        }
    }
    if stale > 0 {
        bail!("{stale} generated pages are stale; run `cargo xtask docs`");
    }
    if check {
        println!("docs: {} generated pages are up to date", PAGES.len());
    }
    Ok(())
}

/// The number of the first line in which two texts differ, from 1.
fn first_difference(left: &str, right: &str) -> usize {
    1 + left.lines().zip(right.lines()).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, expected: usize) {
        assert_eq!(first_difference(left, right), expected);
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        check("", "a\n", 1);
        check("a\nb\nc\n", "a\nx\nc\n", 2);
        check("a\nb\n", "a\nb\nc\n", 3);
    }
}

//! When the subtasks of `lab state` have seen records.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A directory with a file of each attempt of a subtask.
#[derive(Debug, Clone)]
pub struct Beats(PathBuf);

impl Beats {
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Times in microseconds, per attempt, in order.
    pub fn read(&self) -> anyhow::Result<BTreeMap<String, Vec<u64>>> {
        let files = match fs::read_dir(&self.0) {
            // No task has begun yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            files => files.with_context(|| format!("{} cannot be read", self.0.display()))?,
        };
        files
            .map(|file| {
                let path = file?.path();
                let attempt = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                Ok((attempt, times(&fs::read_to_string(&path)?)))
            })
            .collect()
    }

    /// Forgets all attempts, of which none may be left: those of another job have the same names.
    pub fn forget(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("{} cannot be removed", self.0.display()))
    }

    /// Attempts that have begun.
    pub fn attempts(&self) -> anyhow::Result<BTreeSet<String>> {
        Ok(self.read()?.into_keys().collect())
    }

    /// When attempts that are none of `old` saw their first record; `None` until all of `count` have seen one.
    pub fn first_of_others(&self, old: &BTreeSet<String>, count: u32) -> anyhow::Result<Option<u64>> {
        let all = self.read()?;
        let firsts: Vec<u64> = all
            .iter()
            .filter(|(attempt, _)| !old.contains(*attempt))
            .filter_map(|(_, at)| at.first().copied())
            .collect();
        Ok((firsts.len() as u32 >= count).then(|| firsts.into_iter().min()).flatten())
    }

    /// The longest time, in microseconds, that one of the attempts saw nothing, between two times.
    pub fn longest_gap(&self, from_us: u64, to_us: u64) -> anyhow::Result<u64> {
        let gap = |times: &Vec<u64>| {
            let within: Vec<u64> = times.iter().copied().filter(|at| (from_us..=to_us).contains(at)).collect();
            within.windows(2).map(|pair| pair[1] - pair[0]).max()
        };
        Ok(self.read()?.values().filter_map(gap).max().unwrap_or_default())
    }
}

/// The last line may be cut off.
fn times(lines: &str) -> Vec<u64> {
    let whole = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_cut_off_does_not_count() {
        assert_eq!(times("12 a\n15 a\n1"), [12, 15]);
        assert_eq!(times(""), Vec::<u64>::new());
    }

    #[test]
    fn gaps_are_those_of_one_attempt() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "0 a\n5 a\n90 a\n95 a\n").unwrap();
        fs::write(folder.path().join("b"), "40 b\n45 b\n").unwrap();
        let beats = Beats::at(folder.path());
        assert_eq!(beats.longest_gap(0, 100).unwrap(), 85);
        assert_eq!(beats.longest_gap(0, 50).unwrap(), 5);
        assert_eq!(beats.first_of_others(&BTreeSet::from(["a".to_owned()]), 1).unwrap(), Some(40));
        assert_eq!(beats.first_of_others(&BTreeSet::new(), 3).unwrap(), None);
        assert_eq!(Beats::at(&folder.path().join("none")).attempts().unwrap(), BTreeSet::new());
    }
}

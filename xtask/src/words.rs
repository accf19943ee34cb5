//! Synthetic text for benchmarks, the same on every machine.
//!
//! A vocabulary of 100,000 distinct words of 3 to 12 lower-case letters; the word of rank r (from 0) is drawn with a
//! probability proportional to 1/(r+1)^1.1, as words are in natural text; ten words a line, single spaces, `\n` line
//! ends; whole lines only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, ensure};
use flott_core::units::ByteSize;

use self::{random::SplitMix64, vocabulary::Vocabulary, zipf::Zipf};

mod random;
mod vocabulary;
mod zipf;

const VOCABULARY_WORDS: u32 = 100_000;
const EXPONENT: f64 = 1.1;
const WORDS_PER_LINE: u64 = 10;

/// The seed of the text that figures are measured with.
pub const SEED: u64 = 42;

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    pub words: u64,
}

/// Writes the text to `out` and prints its size. A file appears under its name when it is whole.
pub fn run(out: &Path, size: ByteSize, seed: u64) -> anyhow::Result<()> {
    let written = generate(out, size, seed)?;
    ensure!(written.bytes > 0 || size.bytes() == 0, "{size} is less than one line; nothing was written");
    println!("{}", serde_json::json!({"bytes": written.bytes, "words": written.words, "seed": seed}));
    Ok(())
}

/// Writes the text to `out`. A file appears under its name when it is whole.
pub fn generate(out: &Path, size: ByteSize, seed: u64) -> anyhow::Result<Written> {
    write_named(out, size, seed).with_context(|| format!("{} cannot be written", out.display()))
}

fn write_named(out: &Path, size: ByteSize, seed: u64) -> io::Result<Written> {
    // A device or a pipe is written into. To rename a file over it would take it away from everyone else.
    if fs::metadata(out).is_ok_and(|present| !present.is_file()) {
        return write_to_file(OpenOptions::new().write(true).open(out)?, size, seed);
    }
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let written = write_to_file(File::create(partial)?, size, seed);
    let renamed = written.and_then(|written| fs::rename(partial, out).map(|()| written));
    renamed.inspect_err(|_| drop(fs::remove_file(partial)))
}

fn write_to_file(file: File, size: ByteSize, seed: u64) -> io::Result<Written> {
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut buffered, size.bytes(), seed)?;
    buffered.flush()?;
    Ok(written)
}

/// Writes as many whole lines as fit into `bytes_max`.
fn write(to: &mut impl Write, bytes_max: u64, seed: u64) -> io::Result<Written> {
    let mut random = SplitMix64::new(seed);
    let vocabulary = Vocabulary::draw(VOCABULARY_WORDS, &mut random);
    let zipf = Zipf::new(VOCABULARY_WORDS, EXPONENT);
    let mut written = Written::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        for _ in 0..WORDS_PER_LINE {
            line.extend_from_slice(vocabulary.word(zipf.rank(random.next())));
            line.push(b' ');
        }
        if let Some(last) = line.last_mut() {
            *last = b'\n';
        }
        let after = written.bytes + line.len() as u64;
        if after > bytes_max {
            return Ok(written);
        }
        to.write_all(&line)?;
        written = Written { bytes: after, words: written.words + WORDS_PER_LINE };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes_max: u64, seed: u64) -> String {
        let mut text = Vec::new();
        let written = write(&mut text, bytes_max, seed).expect("memory");
        assert_eq!(written.bytes, text.len() as u64);
        let text = String::from_utf8(text).expect("letters");
        assert_eq!(written.words, text.split_whitespace().count() as u64);
        text
    }

    #[test]
    fn a_seed_gives_one_text() {
        assert_eq!(text(10_000, 42), text(10_000, 42));
        assert_ne!(text(10_000, 42), text(10_000, 43));
        assert!(text(20_000, 42).starts_with(&text(10_000, 42)));
    }

    #[test]
    fn lines_are_whole_and_as_many_as_fit() {
        let text = text(100_000, 42);
        assert!(text.ends_with('\n'));
        assert!((100_000 - 130..=100_000).contains(&text.len()), "{}", text.len());
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(words.len(), 10, "{line}");
            let plain = |word: &&str| (3..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
            assert!(words.iter().all(plain), "{line}");
        }
    }

    #[test]
    fn too_little_room_gives_nothing() {
        assert_eq!(text(0, 42), "");
        assert_eq!(text(10, 42), "");
    }

    #[test]
    fn a_file_is_replaced_and_a_device_is_written_into() {
        let folder = std::env::temp_dir().join(format!("xtask-words-{}", std::process::id()));
        fs::create_dir(&folder).expect("own folder");
        let (file, link) = (folder.join("words.txt"), folder.join("link"));
        // Through a link, so that a mistake here replaces the link and not the device.
        std::os::unix::fs::symlink("/dev/null", &link).expect("link");
        for out in [&file, &file, &link] {
            write_named(out, ByteSize::from_bytes(1000), 42).expect("written");
        }
        assert_eq!(fs::read_to_string(&file).expect("whole"), text(1000, 42));
        assert!(fs::symlink_metadata(&link).expect("link").is_symlink());
        write_named(&folder, ByteSize::from_bytes(1000), 42).expect_err("a folder is no file");
        assert_eq!(fs::read_dir(&folder).expect("folder").count(), 2);
        fs::remove_dir_all(&folder).expect("own folder");
    }
}

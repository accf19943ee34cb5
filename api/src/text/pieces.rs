//! Texts out of a longer one.

use super::Text;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// What lies between separators of a text; see [`Text::pieces`].
///
/// Separators are found in 64 bytes at once and then taken one by one. Pieces are so short that in a loop over bytes, or
/// with a search for each of them, the processor guesses most of their ends wrongly, and that takes twice as long.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    text: &'a str,
    /// The separator in each byte.
    separators: u64,
    /// Where the piece at hand begins.
    start: usize,
    /// Where the block at hand begins, and which of its bytes from there on are separators that have not been taken.
    block: usize,
    found: u64,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a str, separator: u8) -> Self {
        assert!(separator.is_ascii(), "a separator is a character of ASCII, not the byte {separator:#x}");
        let mut pieces = Self { text, separators: ONES * u64::from(separator), start: 0, block: 0, found: 0 };
        pieces.search();
        pieces
    }

    /// Finds the separators of the block at hand. Behind the text there is one.
    fn search(&mut self) {
        let bytes = &self.text.as_bytes()[self.block..];
        if let Some(block) = bytes.first_chunk() {
            self.found = find(block, self.separators);
            return;
        }
        let mut block = [0; BLOCK];
        block[..bytes.len()].copy_from_slice(bytes);
        let inside = (1 << bytes.len()) - 1;
        self.found = find(&block, self.separators) & inside | (inside + 1);
    }
}

impl Iterator for Pieces<'_> {
    type Item = Text;

    #[inline(always)]
    fn next(&mut self) -> Option<Text> {
        loop {
            while self.found != 0 {
                let range = self.start..self.block + self.found.trailing_zeros() as usize;
                self.start = range.end + 1;
                self.found &= self.found - 1;
                if !range.is_empty() {
                    return Some(Text::part(self.text, range));
                }
            }
            if self.start > self.text.len() {
                return None;
            }
            self.block += BLOCK;
            self.search();
        }
    }
}

/// A bit for each byte of `block` that is as those of `wanted`, lowest first.
#[inline(always)]
fn find(block: &[u8; BLOCK], wanted: u64) -> u64 {
    const LOW: u64 = 0x7f * ONES;
    let (words, _) = block.as_chunks::<8>();
    words.iter().rev().fold(0, |found, word| {
        let differs = u64::from_le_bytes(*word) ^ wanted;
        // The highest bit of each byte that is 0, and nothing else: no sum carries into the next byte.
        let equal = !(((differs & LOW) + LOW) | differs | LOW);
        // Each bit is moved by a multiple of seven to its place in the highest byte; the rest overflows or stays below.
        found << 8 | (equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// One in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

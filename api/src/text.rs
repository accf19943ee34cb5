//! Texts that are short.

mod pieces;
mod serde;
mod view;

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::{Deref, Range},
};

pub use pieces::Pieces;

/// Bytes of a text that has no allocation.
const SHORT_BYTES_MAX: usize = 15;

/// A text that has no allocation while it is short, up to 15 bytes: words, names, codes, which make good keys.
///
/// It hashes, compares, prints and is encoded as a `String` of the same content is. What it is for is that short ones are
/// made, copied and compared in a few instructions, without a branch on their lengths, which no processor can guess; see
/// [`cut`](Self::cut) and [`pieces`](Self::pieces).
///
/// ```
/// use flott::Text;
///
/// let word = Text::from("word");
/// assert_eq!(word, "word");
/// assert_eq!(word.len(), 4);
/// ```
#[derive(Clone, Default)]
pub struct Text {
    /// A short text with zeros behind it, and its length in the last byte; zeros if it is long.
    short: Short,
    /// Of one word, as the vector of a batch holds many texts and hardly a long one.
    long: Option<Box<Box<str>>>,
}

/// Bytes as they lie in memory. In two words, to be copied and compared as such.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Short {
    low: u64,
    high: u64,
}

impl Short {
    /// Bytes as numbers, the first one lowest, of a text of this length.
    #[inline(always)]
    fn new([low, high]: [u64; 2], length: usize) -> Self {
        Self { low: low.to_le(), high: (high | (length as u64) << 56).to_le() }
    }

    /// The first of 16 bytes that lie there.
    #[inline(always)]
    fn first(bytes: &[u8; 16], length: usize) -> Option<Self> {
        /// Those bytes that are of a text, by its length.
        const MASKS: [u128; SHORT_BYTES_MAX + 1] = {
            let mut masks = [0; SHORT_BYTES_MAX + 1];
            let mut length = 0;
            while length < masks.len() {
                masks[length] = (1 << (8 * length)) - 1;
                length += 1;
            }
            masks
        };
        let mask = MASKS.get(length)?;
        let text = u128::from_le_bytes(*bytes) & mask;
        Some(Self::new([text as u64, (text >> 64) as u64], length))
    }

    /// All of at most [`SHORT_BYTES_MAX`] bytes.
    #[inline(never)]
    fn all(bytes: &[u8]) -> Self {
        let length = bytes.len();
        // Two reads that overlap in the middle.
        let words = if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            let tail = u64::from_le_bytes(*tail);
            [u64::from_le_bytes(*head), tail.checked_shr(128 - 8 * length as u32).unwrap_or(0)]
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            let tail = u64::from(u32::from_le_bytes(*tail));
            [u64::from(u32::from_le_bytes(*head)) | tail << (8 * length - 32), 0]
        } else {
            [bytes.iter().rev().fold(0, |low, byte| low << 8 | u64::from(*byte)), 0]
        };
        Self::new(words, length)
    }
}

impl Text {
    /// The part of `text` that `range` says. Faster than by way of [`From`], as it can read on behind the part and need not
    /// care how long it is.
    ///
    /// # Panics
    /// When `text[range]` would.
    #[inline(always)]
    pub fn cut(text: &str, range: Range<usize>) -> Self {
        assert!(text.is_char_boundary(range.start) && text.is_char_boundary(range.end), "characters are not cut");
        Self::part(text, range)
    }

    /// The part of `text` that `range` says, whose ends must be boundaries of characters.
    #[inline(always)]
    fn part(text: &str, range: Range<usize>) -> Self {
        let bytes = text.as_bytes();
        let behind = bytes.get(range.start..).and_then(<[u8]>::first_chunk);
        let short = match behind.and_then(|bytes| Short::first(bytes, range.len())) {
            Some(short) => short,
            // This comes in registers, as a whole `Self` from a function would not; then the usual case would go by way of
            // memory too, and whoever reads what has just been written there in parts waits for all of them.
            None if range.len() <= SHORT_BYTES_MAX => Short::all(&bytes[range]),
            None => return Self::long(&text[range]),
        };
        Self { short, long: None }
    }

    /// What lies between `separator`s, which are of ASCII, and is not empty.
    ///
    /// ```
    /// use flott::Text;
    ///
    /// let words: Vec<Text> = Text::pieces("to be  or", b' ').collect();
    /// assert_eq!(words, ["to", "be", "or"]);
    /// ```
    ///
    /// # Panics
    /// When `separator` is no byte of ASCII.
    pub fn pieces(text: &str, separator: u8) -> Pieces<'_> {
        Pieces::new(text, separator)
    }

    #[cold]
    fn long(text: &str) -> Self {
        Self { short: Short::default(), long: Some(Box::new(text.into())) }
    }

    /// As a string.
    #[inline(always)]
    pub fn as_str(&self) -> &str {
        match &self.long {
            None => view::text_of(&self.short),
            Some(text) => text,
        }
    }
}

impl Deref for Text {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::part(text, 0..text.len())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() <= SHORT_BYTES_MAX {
            return Self::from(&*text);
        }
        Self { short: Short::default(), long: Some(Box::new(text.into_boxed_str())) }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.long {
            None => text.as_str().to_owned(),
            Some(text) => (*text).into_string(),
        }
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let (own, other_own) = (self.short, other.short);
        (own.low ^ other_own.low) | (own.high ^ other_own.high) == 0 && self.long == other.long
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other)
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests;

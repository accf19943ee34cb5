//! What was seen a while ago.
//!
//! Who counts distinct things elsewhere need not be told of the same thing again and again. A small table of things that
//! were told lately keeps most of the repetitions at home: each thing has one place, and takes it from whatever was
//! there. What was pushed out is told once more, which does no harm to a set.

/// Places; a power of two.
const PLACES: usize = 4096;

/// A table of what was seen.
#[derive(Debug, Clone)]
pub struct Recent<T>(Vec<Option<T>>);

/// Empty, and without places before the first thing.
impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Recent<T> {
    /// Whether a thing may not have been seen: `hash` chooses its place, `is` knows it again, and `make` makes what is kept
    /// of it.
    #[inline]
    pub fn is_new(&mut self, hash: u64, is: impl FnOnce(&T) -> bool, make: impl FnOnce() -> T) -> bool {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        let place = &mut self.0[(spread(hash) >> 52) as usize];
        if place.as_ref().is_some_and(is) {
            return false;
        }
        *place = Some(make());
        true
    }
}

/// Spreads numbers in order over the highest bits.
#[inline]
const fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A number for a text that differs for most; a whole hash would take longer than what it saves.
#[inline]
pub fn hint(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let end = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    spread(end(bytes.first_chunk())) ^ end(bytes.last_chunk()).rotate_left(32) ^ bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_known() {
        let mut recent: Recent<u64> = Recent::default();
        let mut is_new = |number: u64| recent.is_new(number, |known| *known == number, || number);
        assert_eq!([is_new(1), is_new(2), is_new(1), is_new(2)], [true, true, false, false]);
        let known = (0..100_000).filter(|number| !is_new(*number)).count();
        assert_eq!(known, 2);
    }

    #[test]
    fn a_thing_is_pushed_out_by_another() {
        let mut recent: Recent<&str> = Recent::default();
        let mut is_new = |text: &'static str| recent.is_new(7, |known| *known == text, || text);
        assert_eq!([is_new("a"), is_new("b"), is_new("a")], [true; 3]);
    }

    #[test]
    fn hints_differ() {
        let hints: std::collections::BTreeSet<u64> = (0..10_000).map(|n| hint(&format!("channel-{n}"))).collect();
        assert!(hints.len() > 9_900, "{}", hints.len());
        assert_ne!(hint("a"), hint("ab"));
    }
}

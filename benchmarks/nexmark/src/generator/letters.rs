//! Random strings.

use super::{
    BID_BYTES,
    ascii::Ascii,
    random::{Random, scale},
};

/// Fewest characters of words.
const WORDS_MIN: u64 = 3;
/// One of so many characters of words is a separator.
const SEPARATOR_RATIO: u64 = 13;
/// What the numbers of a bid count.
const BID_NUMBERS: u64 = 4 * 8;
/// Room for the longest `extra` of a bid.
pub(super) const BID_EXTRA_BYTES: usize = 96;
/// Room for the longest words.
const WORDS_BYTES: usize = 104;
/// Room for the longest `extra` of all.
const EXTRA_BYTES: usize = 576;

/// A string of its own.
pub(super) struct Letters<const N: usize> {
    room: Ascii<N>,
    length: usize,
}

impl<const N: usize> Letters<N> {
    pub fn as_str(&self) -> &str {
        self.room.text(self.length)
    }
}

/// Random letters that fill a record of `known` bytes up to `average`, more or less by a fifth of what is missing.
pub(super) fn extra(random: &mut Random, known: usize, average: u64) -> Letters<EXTRA_BYTES> {
    let missing = average.saturating_sub(known as u64);
    let more = (missing * 2 + 5) / 10;
    let length = missing - more + random.below((2 * more).max(1));
    let length = (length as usize).min(EXTRA_BYTES);
    let mut room = [0; EXTRA_BYTES];
    fill(random, &mut room[..length.next_multiple_of(8)]);
    Letters { room: Ascii::of(&room), length }
}

/// Random letters, of which a bid has the first as its `extra`, as many as [`bid_extra_length`] says. Always the most
/// that there can be, so that nothing depends on chance but how many of them are used, and all are made at once.
#[inline]
pub(super) fn bid_extra(random: &mut Random) -> Ascii<BID_EXTRA_BYTES> {
    let mut room = [0; BID_EXTRA_BYTES];
    fill(random, &mut room);
    Ascii::of(&room)
}

/// The length of a bid's `extra`, chosen by `bits`; as [`extra`] chooses it.
#[inline]
pub(super) fn bid_extra_length(bits: u32) -> usize {
    const MISSING: u64 = BID_BYTES - BID_NUMBERS;
    const MORE: u64 = (MISSING * 2 + 5) / 10;
    const { assert!(MISSING + MORE <= BID_EXTRA_BYTES as u64) }
    (MISSING - MORE + scale(bits, 2 * MORE)) as usize
}

/// Fills `room`, whose length is a multiple of eight, with random letters: of each random byte times 26, the upper half.
/// Two bytes at a time, in 16 bits, as processors have products of many such numbers at once.
#[inline(always)]
fn fill(random: &mut Random, room: &mut [u8]) {
    room.as_chunks_mut().0.iter_mut().for_each(|eight| *eight = random.next().to_le_bytes());
    for two in room.as_chunks_mut().0 {
        let both = u16::from_le_bytes(*two);
        let (low, high) = (((both & 0xFF) * 26) >> 8, ((both >> 8) * 26) & 0xFF00);
        *two = ((low | high) + 0x6161).to_le_bytes();
    }
}

/// Random letters with `separator` among them: at least 3 and fewer than `limit`, which is at most 104.
pub(super) fn words(random: &mut Random, limit: u64, separator: u8) -> Letters<WORDS_BYTES> {
    let length = (WORDS_MIN + random.below(limit - WORDS_MIN)) as usize;
    let (mut room, mut chances) = ([0; WORDS_BYTES], [0; WORDS_BYTES]);
    let words = length.next_multiple_of(8).min(WORDS_BYTES);
    fill(random, &mut room[..words]);
    chances[..words].as_chunks_mut().0.iter_mut().for_each(|eight| *eight = random.next().to_le_bytes());
    for (letter, chance) in room.iter_mut().zip(chances) {
        // The 13th part of 256; the error is 1 in 80.
        *letter = if chance < (256 / SEPARATOR_RATIO) as u8 { separator } else { *letter };
    }
    Letters { room: Ascii::of(&room), length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_spread_evenly() {
        let mut random = Random::new(1, 1);
        let mut counts = [0_u32; 26];
        for _ in 0..50_000 {
            let mut room = [0; 8];
            fill(&mut random, &mut room);
            room.iter().for_each(|letter| counts[usize::from(letter - b'a')] += 1);
        }
        // 256 values on 26 letters: nine or ten each.
        assert!(counts.iter().all(|count| (13_600..16_100).contains(count)), "{counts:?}");
    }

    #[test]
    fn words_have_separators_among_letters() {
        let mut random = Random::new(1, 2);
        let (mut characters, mut separators) = (0, 0);
        for _ in 0..20_000 {
            let text = words(&mut random, 20, b'_');
            let text = text.as_str();
            assert!((3..20).contains(&text.len()), "{text:?}");
            assert!(text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{text:?}");
            characters += text.len();
            separators += text.matches('_').count();
        }
        let ratio = characters as f64 / separators as f64;
        assert!((12.0..14.5).contains(&ratio), "{ratio}");
        assert!((0..20_000).any(|_| words(&mut random, 104, b' ').as_str().len() == 103));
    }

    #[test]
    fn extras_fill_records_up() {
        let mut random = Random::new(1, 3);
        let lengths: Vec<usize> = (0..20_000).map(|_| extra(&mut random, 32, 100).as_str().len()).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&54), Some(&81)));
        let average = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!((67.0..68.0).contains(&average), "{average}");
        assert_eq!(extra(&mut random, 101, 100).as_str(), "");
        assert_eq!((bid_extra_length(0), bid_extra_length(u32::MAX)), (54, 81));
    }
}

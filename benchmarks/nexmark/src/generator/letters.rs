//! Random strings, made in whole words: what is made beyond their length is overwritten by what comes next.

use super::{
    ascii::Ascii,
    random::{Random, scale},
};

/// Fewest characters of words.
const WORDS_MIN: u64 = 3;
/// One of so many characters of words is a separator.
const SEPARATOR_RATIO: u16 = 13;
const RARE: u8 = (256 / SEPARATOR_RATIO) as u8;

/// Letters of bids, in multiples of eight: of each random byte times 26, the upper half. Two bytes at a time, in 16 bits,
/// as processors have products of many such numbers at once; and in a loop of its own, without which the compiler takes
/// the words apart.
#[inline(always)]
pub(super) fn letters<const N: usize>(random: &mut Random) -> Ascii<N> {
    let mut room = [0; N];
    room.as_chunks_mut().0.iter_mut().for_each(|eight| *eight = random.next().to_le_bytes());
    for two in room.as_chunks_mut().0 {
        let both = u16::from_le_bytes(*two);
        let (low, high) = (((both & 0xFF) * 26) >> 8, ((both >> 8) * 26) & 0xFF00);
        *two = ((low | high) + 0x6161).to_le_bytes();
    }
    Ascii::of(&room)
}

const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Eight letters, made as those of [`letters`], every other at once.
#[inline(always)]
fn eight_letters(random: &mut Random) -> u64 {
    const EVEN: u64 = 0x00FF_00FF_00FF_00FF;
    let bits = random.next();
    let even = (((bits & EVEN) * 26) >> 8) & EVEN;
    let odd = (((bits >> 8) & EVEN) * 26) & !EVEN;
    (even | odd) + eight(b'a')
}

/// The length of what fills a record of `known` bytes up to `average`, more or less by a fifth of what is missing, as
/// `bits` choose.
#[inline(always)]
pub(super) const fn extra_length(bits: u32, known: usize, average: u64) -> usize {
    let missing = average.saturating_sub(known as u64);
    let more = (missing * 2 + 5) / 10;
    (missing - more + scale(bits, 2 * more)) as usize
}

/// Random letters from `at` on that fill a record of `known` bytes up to `average`; gives where they end.
pub(super) fn extra<const N: usize>(
    random: &mut Random,
    known: usize,
    average: u64,
    at: usize,
    room: &mut Ascii<N>,
) -> usize {
    let end = at + extra_length(random.next() as u32, known, average);
    room.put_words(at, end - at, || eight_letters(random));
    end
}

/// Random letters with `separator` among them, from `at` on: at least 3 and fewer than `limit`, but that blanks at both
/// ends are cut off. Gives where they end.
pub(super) fn words<const N: usize>(
    random: &mut Random,
    limit: u64,
    separator: u8,
    at: usize,
    room: &mut Ascii<N>,
) -> usize {
    let length = (WORDS_MIN + random.below(limit - WORDS_MIN)) as usize;
    room.put_words(at, length, || {
        let (letters, chances) = (eight_letters(random), random.next());
        // The highest bit of each byte of `rare` says that its chance is below the 13th part of 256; the error is 1 in 80.
        let rare = !(((chances & eight(0x7F)) + eight(0x80 - RARE)) | chances) & eight(0x80);
        let separate = (rare >> 7) * 0xFF;
        letters & !separate | eight(separator) & separate
    });
    room.trim(at, at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_spread_evenly() {
        let mut random = Random::new(1, 1);
        let mut counts = [0_u32; 26];
        for _ in 0..50_000 {
            letters::<8>(&mut random).text(8).bytes().for_each(|letter| counts[usize::from(letter - b'a')] += 1);
        }
        // 256 values on 26 letters: nine or ten each.
        assert!(counts.iter().all(|count| (13_600..16_100).contains(count)), "{counts:?}");
    }

    #[test]
    fn words_have_separators_among_letters() {
        let mut random = Random::new(1, 2);
        let (mut characters, mut separators) = (0, 0);
        for _ in 0..20_000 {
            let mut room: Ascii<128> = Ascii::blank();
            let end = words(&mut random, 20, b'_', 7, &mut room);
            let text = &room.text(end)[7..];
            assert!((3..20).contains(&text.len()), "{text:?}");
            assert!(text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{text:?}");
            characters += text.len();
            separators += text.matches('_').count();
            let end = words(&mut random, 100, b' ', 1, &mut room);
            let text = &room.text(end)[1..];
            assert!(text.len() < 100 && text.trim() == text, "{text:?}");
        }
        let ratio = characters as f64 / separators as f64;
        assert!((12.0..14.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn extras_fill_records_up() {
        let mut random = Random::new(1, 3);
        let mut room: Ascii<128> = Ascii::blank();
        let lengths: Vec<usize> = (0..20_000).map(|_| extra(&mut random, 32, 100, 5, &mut room) - 5).collect();
        assert!(room.text(5 + 81)[5..].bytes().all(|byte| byte.is_ascii_lowercase()));
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&54), Some(&81)));
        let average = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!((67.0..68.0).contains(&average), "{average}");
        assert_eq!(extra(&mut random, 101, 100, 9, &mut room), 9);
    }
}

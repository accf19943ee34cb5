//! Random strings.

use super::{ascii, random::Random};

/// Fewest characters of words.
const WORDS_MIN: u64 = 3;
/// One of so many characters of words is a separator.
const SEPARATOR_RATIO: u64 = 13;

/// Random letters that fill a record of `known` bytes up to `average`, more or less by a fifth of what is missing. `room`
/// must be as long as that, rounded up to eight.
#[inline]
pub(super) fn extra<'a>(random: &mut Random, known: u64, average: u64, room: &'a mut [u8]) -> &'a str {
    let missing = average.saturating_sub(known);
    let more = (missing * 2 + 5) / 10;
    let length = missing - more + random.below((2 * more).max(1));
    let length = (length as usize).min(room.len());
    for eight in room[..length.next_multiple_of(8)].as_chunks_mut().0 {
        *eight = letters(random.next());
    }
    ascii(&room[..length])
}

/// Eight letters from 64 random bits: each byte times 26, the upper half of it. Products of bytes with 26 fit into 16
/// bits, so every other byte can be taken at once.
#[inline]
fn letters(bits: u64) -> [u8; 8] {
    const EVEN: u64 = 0x00FF_00FF_00FF_00FF;
    const A: u64 = 0x6161_6161_6161_6161;
    let even = (((bits & EVEN) * 26) >> 8) & EVEN;
    let odd = (((bits >> 8) & EVEN) * 26) & !EVEN;
    ((even | odd) + A).to_le_bytes()
}

/// Random letters with `separator` among them: at least 3 and fewer than `limit`, but that blanks at both ends are cut
/// off. `room` must be as long as `limit`, rounded up to eight.
pub(super) fn words<'a>(random: &mut Random, limit: u64, separator: u8, room: &'a mut [u8]) -> &'a str {
    let length = (WORDS_MIN + random.below(limit - WORDS_MIN)) as usize;
    for eight in room[..length.next_multiple_of(8)].as_chunks_mut().0 {
        *eight = letters(random.next());
        // Bytes below the 13th part of 256; the error is 1 in 80.
        for (letter, byte) in eight.iter_mut().zip(random.next().to_le_bytes()) {
            if u64::from(byte) < 256 / SEPARATOR_RATIO {
                *letter = separator;
            }
        }
    }
    ascii(&room[..length]).trim_matches(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_spread_evenly() {
        let mut random = Random::new(1, 1);
        let mut counts = [0_u32; 26];
        for _ in 0..50_000 {
            letters(random.next()).iter().for_each(|letter| counts[usize::from(letter - b'a')] += 1);
        }
        // 256 values on 26 letters: nine or ten each.
        assert!(counts.iter().all(|count| (13_600..16_100).contains(count)), "{counts:?}");
    }

    #[test]
    fn words_have_separators_inside_alone() {
        let mut random = Random::new(1, 2);
        let (mut characters, mut separators) = (0, 0);
        for _ in 0..20_000 {
            let mut room = [0; 24];
            let text = words(&mut random, 20, b'_', &mut room);
            assert!((3..20).contains(&text.len()), "{text:?}");
            characters += text.len();
            separators += text.matches('_').count();
            let text = words(&mut random, 20, b' ', &mut room);
            assert_eq!(text.trim(), text);
        }
        let ratio = characters as f64 / separators as f64;
        assert!((12.0..14.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn extras_fill_records_up() {
        let mut random = Random::new(1, 3);
        let mut lengths = Vec::new();
        for _ in 0..20_000 {
            let mut room = [0; 96];
            lengths.push(extra(&mut random, 32, 100, &mut room).len());
        }
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&54), Some(&81)));
        let average = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!((67.0..68.0).contains(&average), "{average}");
        assert_eq!(extra(&mut random, 101, 100, &mut [0; 8]), "");
    }
}

use std::collections::HashSet;

use super::random::SplitMix64;

const LETTERS_MIN: u32 = 3;
const LETTERS_MAX: u32 = 12;

/// Distinct words, by rank.
pub struct Vocabulary {
    /// All words, one after the other: they stay close together in the cache.
    letters: Vec<u8>,
    /// Where each word begins, and where the last one ends.
    starts: Vec<u32>,
}

impl Vocabulary {
    /// Draws `words` distinct words; lengths and letters are uniform.
    pub fn draw(words: u32, random: &mut SplitMix64) -> Self {
        let mut seen = HashSet::new();
        let mut vocabulary = Self { letters: Vec::new(), starts: vec![0] };
        while seen.len() < words as usize {
            let length = LETTERS_MIN + random.below(LETTERS_MAX - LETTERS_MIN + 1);
            let word: Vec<u8> = (0..length).map(|_| b'a' + random.below(26) as u8).collect();
            if !seen.contains(&word) {
                vocabulary.letters.extend_from_slice(&word);
                vocabulary.starts.push(vocabulary.letters.len() as u32);
                seen.insert(word);
            }
        }
        vocabulary
    }

    /// The word of a rank below the number of words.
    pub fn word(&self, rank: u32) -> &[u8] {
        let rank = rank as usize;
        &self.letters[self.starts[rank] as usize..self.starts[rank + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_of_every_length() {
        let vocabulary = Vocabulary::draw(20_000, &mut SplitMix64::new(42));
        let words: HashSet<&[u8]> = (0..20_000).map(|rank| vocabulary.word(rank)).collect();
        assert_eq!(words.len(), 20_000);
        for length in LETTERS_MIN..=LETTERS_MAX {
            assert!(words.iter().any(|word| word.len() == length as usize), "none of {length} letters");
        }
    }
}

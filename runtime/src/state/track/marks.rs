//! Three marks for each place of a table.

/// A word of each mark, and the cut up to which they count: for 64 places. Plain numbers, so that room for many is had
/// from the system as zeros, a page of it when it is first used.
type Word = [u64; 4];

const CUT: usize = 0;
const CHANGED: usize = 1;
const PENDING: usize = 2;
const STORED: usize = 3;

/// What is known of the entry at a place. Of places without an entry nothing is known, whatever their marks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::state) struct Mark {
    /// It has changed since the last cut.
    pub changed: bool,
    /// The snapshot being given has it, and it has not been given yet.
    pub pending: bool,
    /// Snapshots up to the last have it.
    pub stored: bool,
}

/// What the last cut began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Since {
    /// Nothing: there has been none.
    #[default]
    Never,
    /// A snapshot of all that was there.
    Whole,
    /// A snapshot of what had changed.
    Changed,
    /// Nothing, but all that was there had been restored.
    Restored,
}

/// The marks of all places.
///
/// A word is brought up to the last cut when it is first looked at after it. Between two cuts all words are, as the
/// snapshot that the first began has been given from them; only after one that was given up they are not, and then a whole
/// one comes, after which it does not matter what they were before.
#[derive(Debug, Default)]
pub(in crate::state) struct Marks {
    words: Vec<Word>,
    /// Cuts so far.
    cut: u64,
    since: Since,
    /// Words that no cut has reached are of entries that were restored.
    restored: bool,
}

impl Marks {
    /// Places of one word.
    pub const PLACES: usize = u64::BITS as usize;

    /// Whether nothing has been marked yet.
    pub fn are_new(&self) -> bool {
        self.words.is_empty() && matches!(self.since, Since::Never | Since::Restored)
    }

    /// Whether there has been nothing to build on: all that is there has come since.
    pub fn are_empty(&self) -> bool {
        self.since == Since::Never
    }

    /// Makes a cut.
    pub(super) fn start(&mut self, since: Since) {
        self.cut += 1;
        self.since = since;
        if since == Since::Restored {
            self.restored = true;
            self.words = Vec::new();
        }
    }

    /// Has room for so many places, so that none has to be made while they are marked.
    pub fn make_room(&mut self, places: usize) {
        let words = places.div_ceil(Self::PLACES);
        if self.words.is_empty() {
            self.words = vec![Word::default(); words];
        } else if self.words.len() < words {
            self.words.resize(words, Word::default());
        }
    }

    /// Marks of the same cut for so many places, without any mark.
    pub fn blank(&self, places: usize) -> Self {
        let word = [self.cut, 0, 0, 0];
        Self { words: vec![word; places.div_ceil(Self::PLACES)], ..*self }
    }

    /// Marks an entry as changed, and says whether it was pending; it is no longer.
    #[inline(always)]
    pub fn change(&mut self, place: usize) -> bool {
        let bit = bit(place);
        let word = self.word(place / Self::PLACES);
        word[CHANGED] |= bit;
        let pending = word[PENDING] & bit != 0;
        word[PENDING] &= !bit;
        pending
    }

    /// Says whether an entry was pending; it is no longer.
    #[inline]
    pub fn give(&mut self, place: usize) -> bool {
        let bit = bit(place);
        let pending = &mut self.word(place / Self::PLACES)[PENDING];
        let was = *pending & bit != 0;
        *pending &= !bit;
        was
    }

    pub fn get(&mut self, place: usize) -> Mark {
        let bit = bit(place);
        let word = self.word(place / Self::PLACES);
        let [changed, pending, stored] = [CHANGED, PENDING, STORED].map(|mark| word[mark] & bit != 0);
        Mark { changed, pending, stored }
    }

    #[inline]
    pub fn set(&mut self, place: usize, mark: Mark) {
        let bit = bit(place);
        let word = self.word(place / Self::PLACES);
        for (mark, is) in [(CHANGED, mark.changed), (PENDING, mark.pending), (STORED, mark.stored)] {
            word[mark] = (word[mark] & !bit) | if is { bit } else { 0 };
        }
    }

    /// The first place of a word that is pending; it is no longer.
    #[inline]
    pub fn take_pending(&mut self, word: usize) -> Option<usize> {
        let pending = &mut self.word(word)[PENDING];
        if *pending == 0 {
            return None;
        }
        let place = word * Self::PLACES + pending.trailing_zeros() as usize;
        *pending &= *pending - 1;
        Some(place)
    }

    #[inline]
    fn word(&mut self, index: usize) -> &mut Word {
        if self.words.get(index).is_none_or(|word| word[CUT] != self.cut) {
            self.bring_up(index);
        }
        &mut self.words[index]
    }

    /// Brings a word up to the last cut.
    #[inline(never)]
    fn bring_up(&mut self, index: usize) {
        if self.words.len() <= index {
            // A table that is filled place by place asks for one word after the other.
            self.words.resize((index + 1).max(self.words.len() * 2), Word::default());
        }
        let [cut, changed, _, stored] = self.words[index];
        let stored = if cut == 0 && self.restored { !0 } else { stored };
        self.words[index] = match self.since {
            Since::Whole => [self.cut, 0, !0, !0],
            Since::Changed => [self.cut, 0, changed, stored | changed],
            Since::Never | Since::Restored => [self.cut, changed, 0, stored],
        };
    }
}

fn bit(place: usize) -> u64 {
    1 << (place % Marks::PLACES)
}

//! The strings of a record in one allocation.
//!
//! A bid has three strings and is made, moved and dropped in a few tens of nanoseconds; an allocation and its release
//! take some twenty of them. So the strings of a record lie one after the other in one box, and the record knows where
//! they end.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `ENDS + 1` strings in one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const ENDS: usize> {
    all: Box<str>,
    /// Where each string but the last ends. In order, and at boundaries of characters.
    ends: [u32; ENDS],
}

impl<const ENDS: usize> Text<ENDS> {
    /// The strings `first` and, after them, `last`.
    ///
    /// # Panics
    /// When they have more than 4 GiB.
    #[inline]
    pub fn new(first: [&str; ENDS], last: &str) -> Self {
        let length = first.iter().map(|part| part.len()).sum::<usize>() + last.len();
        assert!(u32::try_from(length).is_ok(), "the strings of a record have {length} bytes, and at most 4 GiB fit");
        let mut all = String::with_capacity(length);
        let ends = first.map(|part| {
            all.push_str(part);
            all.len() as u32
        });
        all.push_str(last);
        Self { all: all.into_boxed_str(), ends }
    }

    /// The strings in `all`, each but the last up to its entry in `ends`; `None` where these do not fit.
    #[inline]
    pub fn from_parts(all: Box<str>, ends: [u32; ENDS]) -> Option<Self> {
        let mut start = 0;
        for end in ends {
            if end < start || !all.is_char_boundary(end as usize) {
                return None;
            }
            start = end;
        }
        u32::try_from(all.len()).is_ok().then_some(Self { all, ends })
    }

    /// As [`from_parts`](Self::from_parts), of ASCII alone, where every end is one.
    #[inline]
    pub(crate) fn joined(all: &str, ends: [u32; ENDS]) -> Self {
        Self { all: all.into(), ends }
    }

    /// String `index`, which is at most `ENDS`.
    #[inline]
    pub fn part(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        let end = if index == ENDS { self.all.len() } else { self.ends[index] as usize };
        &self.all[start..end]
    }
}

impl<const ENDS: usize> std::fmt::Debug for Text<ENDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((0..=ENDS).map(|index| self.part(index))).finish()
    }
}

/// The compact form: where strings end, and all of them as one. Records write the strings out themselves for people.
impl<const ENDS: usize> Serialize for Text<ENDS>
where
    [u32; ENDS]: Serialize,
{
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.ends, &*self.all).serialize(serializer)
    }
}

impl<'de, const ENDS: usize> Deserialize<'de> for Text<ENDS>
where
    [u32; ENDS]: Deserialize<'de>,
{
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ends, all) = Deserialize::deserialize(deserializer)?;
        Self::from_parts(all, ends).ok_or_else(|| de::Error::custom("strings of a record end outside of its text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_come_out_as_they_went_in(first in "\\PC{0,9}", second in "\\PC{0,9}", last in "\\PC{0,9}") {
            let text = Text::new([&first, &second], &last);
            prop_assert_eq!([text.part(0), text.part(1), text.part(2)], [&first, &second, &last]);
            let again: Text<2> = serde_json::from_str(&serde_json::to_string(&text).unwrap()).unwrap();
            prop_assert_eq!(again, text);
        }
    }

    #[test]
    fn ends_that_do_not_fit_are_refused() {
        assert!(Text::from_parts("aéb".into(), [1, 3]).is_some());
        assert!(Text::from_parts("aéb".into(), [1, 2]).is_none());
        assert!(Text::from_parts("aéb".into(), [3, 1]).is_none());
        assert!(Text::from_parts("aéb".into(), [1, 5]).is_none());
    }
}

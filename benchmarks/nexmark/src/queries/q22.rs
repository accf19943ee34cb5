//! Directories of URLs: all bids, with three parts of their URL.

use std::borrow::Cow;

use flott::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{Event, Strings};

/// Slashes before the first part, and before what is behind the last.
const FIRST: u32 = 3;
const STARTS: usize = 4;

/// Where the parts start, one more than are wanted; [`NONE`] where there is none.
type Starts = [u32; STARTS];
const NONE: u32 = u32::MAX;

/// `SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2,
/// SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid`; parts that are not there are null.
#[derive(Debug, Clone)]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    strings: Strings,
    starts: Starts,
}

impl super::Row for Row {}

impl Row {
    fn directory(&self, index: usize) -> Option<&str> {
        let start = self.starts.get(index).filter(|start| **start != NONE)?;
        let rest = self.strings.url().get(*start as usize..)?;
        match self.starts.get(index + 1) {
            Some(next) if *next != NONE => rest.get(..(next - start - 1) as usize),
            _ => Some(rest),
        }
    }
}

/// A projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let starts = starts(bid.url().as_bytes());
        let (auction, bidder, price) = (bid.auction, bid.bidder, bid.price);
        Some(Row { auction, bidder, price, strings: bid.into_strings(), starts })
    })
}

/// Where the parts of `url` start. Slashes are few bytes apart, so they are looked for in many bytes at once: a search for
/// one after the other began anew six times.
fn starts(url: &[u8]) -> Starts {
    let mut starts = [NONE; STARTS];
    let mut bits = slashes(url);
    if bits.count_ones() >= FIRST + STARTS as u32 - 1 {
        (1..FIRST).for_each(|_| bits &= bits - 1);
        for start in &mut starts {
            *start = bits.trailing_zeros() + 1;
            bits &= bits - 1;
        }
        return starts;
    }
    let all = url.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at as u32 + 1);
    starts.iter_mut().zip(all.skip(FIRST as usize - 1)).for_each(|(start, at)| *start = at);
    starts
}

/// A bit for each slash in the first 64 bytes of `url`, as far as these are whole words.
#[inline]
fn slashes(url: &[u8]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    const SLASH: u64 = u64::from_ne_bytes([b'/'; 8]);
    let words = url.as_chunks().0.iter().take(8).enumerate();
    words.fold(0, |bits, (index, word)| {
        let other = u64::from_le_bytes(*word) ^ SLASH;
        // The highest bit of each byte that is a slash, and then one bit for each byte.
        let found = !(((other & LOW) + LOW) | other | LOW);
        let found = (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | found << (index * 8)
    })
}

#[derive(Serialize, Deserialize)]
struct Columns<'a> {
    auction: u64,
    bidder: u64,
    price: u64,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    dir1: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dir2: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dir3: Option<Cow<'a, str>>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { auction, bidder, price, ref strings, .. } = *self;
        let [dir1, dir2, dir3] = [0, 1, 2].map(|index| self.directory(index).map(Cow::from));
        Columns { auction, bidder, price, channel: strings.channel().into(), dir1, dir2, dir3 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Columns { auction, bidder, price, channel, dir1, dir2, dir3 } = Columns::deserialize(deserializer)?;
        let parts: Vec<&str> =
            ["", "", ""].into_iter().chain([&dir1, &dir2, &dir3].into_iter().flatten().map(|dir| &**dir)).collect();
        let strings = Strings::new(&channel, &parts.join("/"));
        let starts = starts(strings.url().as_bytes());
        Ok(Self { auction, bidder, price, strings, starts })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(url: &str) -> Row {
        Row { auction: 1, bidder: 2, price: 3, strings: Strings::new("x", url), starts: starts(url.as_bytes()) }
    }

    #[track_caller]
    fn check(url: &str, expected: [Option<&str>; 3]) {
        let row = row(url);
        assert_eq!([0, 1, 2].map(|index| row.directory(index)), expected, "{url}");
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Row>(&json).unwrap()).unwrap(), json);
    }

    #[test]
    fn parts_are_counted_from_nought() {
        check("https://www.nexmark.com/a/b_/cde/item.htm?query=1", [Some("a"), Some("b_"), Some("cde")]);
        check("https://www.nexmark.com/a//", [Some("a"), Some(""), Some("")]);
        check("https://www.nexmark.com/a/b", [Some("a"), Some("b"), None]);
        check("https://www.nexmark.com/", [Some(""), None, None]);
        check("https://www.nexmark.com", [None, None, None]);
        check("", [None, None, None]);
    }

    proptest! {
        #[test]
        fn parts_are_those_between_slashes(url in "([a-z]|é|/|/|\u{af}){0,90}") {
            let row = row(&url);
            let parts: Vec<&str> = url.split('/').collect();
            for index in 0..3 {
                prop_assert_eq!(row.directory(index), parts.get(index + 3).copied());
            }
        }
    }
}

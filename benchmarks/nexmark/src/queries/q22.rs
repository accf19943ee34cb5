//! Directories of URLs: all bids, with three parts of their URL.

use compact_str::CompactString;
use flott::Stream;
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// The first part, from 0.
const FIRST: usize = 3;

/// `SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2,
/// SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid`; parts that are not there are null.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: CompactString,
    dir1: Option<CompactString>,
    dir2: Option<CompactString>,
    dir3: Option<CompactString>,
}

impl super::Row for Row {}

/// A projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    super::of_bids(events, |bid| {
        let [dir1, dir2, dir3] = directories(bid.url()).map(|part| part.map(CompactString::new));
        let channel = CompactString::new(bid.channel());
        Some(Row { auction: bid.auction, bidder: bid.bidder, price: bid.price, channel, dir1, dir2, dir3 })
    })
}

/// Three parts of `url` between slashes.
fn directories(url: &str) -> [Option<&str>; 3] {
    let mut slashes = memchr_iter(b'/', url.as_bytes()).skip(FIRST - 1);
    let mut start = slashes.next().map(|slash| slash + 1);
    [(); 3].map(|()| {
        let from = start?;
        let end = slashes.next();
        start = end.map(|slash| slash + 1);
        Some(&url[from..end.unwrap_or(url.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: [Option<&str>; 3]) {
        assert_eq!(directories(url), expected, "{url}");
    }

    #[test]
    fn parts_are_counted_from_nought() {
        check("https://www.nexmark.com/a/b_/cde/item.htm?query=1", [Some("a"), Some("b_"), Some("cde")]);
        check("https://www.nexmark.com/a//", [Some("a"), Some(""), Some("")]);
        check("https://www.nexmark.com/a/b", [Some("a"), Some("b"), None]);
        check("https://www.nexmark.com", [None, None, None]);
        check("", [None, None, None]);
    }
}

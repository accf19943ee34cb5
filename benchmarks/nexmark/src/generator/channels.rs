//! Where bids come from: four hot channels, and ten thousand others whose name and URL are always the same.

use std::hint::select_unpredictable;

use super::{
    letters, put,
    random::{Random, mix, scale},
};

/// Channels that are not hot.
const COLD: u64 = 10_000;
const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// One of so many URLs of channels that are not hot does not name its channel.
const NAMELESS_RATIO: u64 = 10;

const HOST: &[u8; 24] = b"https://www.nexmark.com/";
const PAGE: &[u8; 17] = b"/item.htm?query=1";
const ID: &[u8; 12] = b"&channel_id=";

/// Room for the longest name and URL.
pub(super) const BYTES: usize = 96;

/// How names begin; the hot ones also end there.
const NAMES: [(&[u8; 8], usize); 5] =
    [(b"Google  ", 6), (b"Facebook", 8), (b"Baidu   ", 5), (b"Apple   ", 5), (b"channel-", 8)];

/// What is special about a channel. The rest is put around it: all URLs as a whole would not fit into the second cache,
/// and waiting for one took a third of the time of a bid.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Special {
    number: [u8; 4],
    /// Three, with slashes between them.
    directories: [u8; 14],
    id: [u8; 11],
    number_length: u8,
    directories_length: u8,
    /// With what stands before it; 0 where it is not named.
    id_length: u8,
}

/// Copies `text` to the front of `place`, as far as there is room; gives its length.
fn fill(text: &str, place: &mut [u8]) -> u8 {
    text.bytes().zip(place).map(|(byte, place)| *place = byte).count() as u8
}

/// All channels, the hot ones first.
#[derive(Debug)]
pub(super) struct Channels(Vec<Special>);

impl Channels {
    pub fn new(key: u64) -> Self {
        let mut random = Random::new(mix(key), 0);
        let channel = |number: Option<i32>| {
            let mut channel = Special::default();
            let [mut a, mut b, mut c] = [[0; 8]; 3];
            let [a, b, c] = [&mut a, &mut b, &mut c].map(|room| letters::words(&mut random, 5, b'_', room));
            channel.directories_length = fill(&format!("{a}/{b}/{c}"), &mut channel.directories);
            if let Some(number) = number {
                channel.number_length = fill(&number.to_string(), &mut channel.number);
                if random.below(NAMELESS_RATIO) > 0 {
                    let id = number.reverse_bits().wrapping_abs().to_string();
                    channel.id_length = ID.len() as u8 + fill(&id, &mut channel.id);
                }
            }
            channel
        };
        Self(HOT.iter().map(|_| None).chain((0..COLD as i32).map(Some)).map(channel).collect())
    }

    /// One of the hot channels, or one of the others, chosen by `bits`.
    #[inline]
    pub fn of(&self, hot: bool, bits: u64) -> Channel {
        let among_hot = bits % HOT.len() as u64;
        let among_cold = HOT.len() as u64 + scale((bits >> 32) as u32, COLD);
        let special = self.0[select_unpredictable(hot, among_hot, among_cold) as usize];
        let (name, name_length) = NAMES[select_unpredictable(hot, among_hot as usize, HOT.len())];
        Channel { name, name_length, special }
    }
}

/// A channel.
pub(super) struct Channel {
    name: &'static [u8; 8],
    name_length: usize,
    special: Special,
}

impl Channel {
    /// Writes its name and its URL to the front of `room`; gives where the name ends, and the URL.
    #[inline]
    pub fn write(&self, room: &mut [u8]) -> (usize, usize) {
        let special = &self.special;
        put(room, 0, self.name);
        put(room, self.name_length, &special.number);
        let name_end = self.name_length + usize::from(special.number_length);
        put(room, name_end, HOST);
        put(room, name_end + HOST.len(), &special.directories);
        let page = name_end + HOST.len() + usize::from(special.directories_length);
        put(room, page, PAGE);
        let id = page + PAGE.len();
        put(room, id, ID);
        put(room, id + ID.len(), &special.id);
        (name_end, id + usize::from(special.id_length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(channels: &Channels, hot: bool, bits: u64) -> (String, String) {
        let mut room = [b'?'; BYTES];
        let (name_end, url_end) = channels.of(hot, bits).write(&mut room);
        let text = str::from_utf8(&room[..url_end]).unwrap();
        (text[..name_end].to_owned(), text[name_end..].to_owned())
    }

    #[track_caller]
    fn check_url<'a>(url: &'a str) -> &'a str {
        let (address, id) = url.split_once("?query=1").unwrap();
        let parts: Vec<&str> = address.split('/').collect();
        assert_eq!([parts[0], parts[1], parts[2], parts[6]], ["https:", "", "www.nexmark.com", "item.htm"], "{url}");
        assert!(parts[3..6].iter().all(|part| (3..5).contains(&part.len())), "{url}");
        id
    }

    #[test]
    fn hot_channels_have_no_id() {
        let channels = Channels::new(1);
        for (index, expected) in HOT.iter().enumerate() {
            let (name, url) = channel(&channels, true, 0xF000_0000_0000_00F0 + index as u64);
            assert_eq!(name, *expected);
            assert_eq!(check_url(&url), "");
        }
    }

    #[test]
    fn most_others_have_one() {
        let channels = Channels::new(1);
        let mut with_id = 0;
        for number in 0..COLD {
            let bits = ((number << 32) / COLD + 1) << 32;
            let (name, url) = channel(&channels, false, bits);
            assert_eq!(name, format!("channel-{number}"));
            let (id, expected) = (check_url(&url), (number as i32).reverse_bits().wrapping_abs());
            assert!(id.is_empty() || id == format!("&channel_id={expected}"), "{url}");
            with_id += usize::from(!id.is_empty());
        }
        assert!((8_900..9_100).contains(&with_id), "{with_id}");
    }
}

//! Where bids come from: four hot channels, and ten thousand others whose name and URL are always the same.

use std::hint::select_unpredictable;

use super::{
    ascii::Ascii,
    letters,
    random::{Random, mix, scale},
};

/// Channels that are not hot.
const COLD: u64 = 10_000;
const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// One of so many URLs of channels that are not hot does not name its channel.
const NAMELESS_RATIO: u64 = 10;

const HOST_BYTES: usize = 24;
const PAGE_BYTES: usize = 17;
const ID_BYTES: usize = 12;
const HOST: Ascii<HOST_BYTES> = Ascii::of(b"https://www.nexmark.com/");
const PAGE: Ascii<PAGE_BYTES> = Ascii::of(b"/item.htm?query=1");
const ID: Ascii<ID_BYTES> = Ascii::of(b"&channel_id=");

/// Room for the longest name and URL.
pub(super) const BYTES: usize = 96;

/// How names begin; the hot ones also end there.
static NAMES: [(Ascii<8>, usize); 5] = [
    (Ascii::of(b"Google  "), 6),
    (Ascii::of(b"Facebook"), 8),
    (Ascii::of(b"Baidu   "), 5),
    (Ascii::of(b"Apple   "), 5),
    (Ascii::of(b"channel-"), 8),
];

/// What is special about a channel. The rest is put around it: all URLs as a whole would not fit into the second cache,
/// and waiting for one took a third of the time of a bid.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Special {
    number: Ascii<4>,
    /// Three, with slashes between them.
    directories: Ascii<14>,
    id: Ascii<11>,
    number_length: u8,
    directories_length: u8,
    /// With what stands before it; 0 where it is not named.
    id_length: u8,
}

impl Special {
    fn new(number: Option<i32>, random: &mut Random) -> Self {
        let (mut own, mut directories, mut id) = (Ascii::blank(), Ascii::blank(), Ascii::blank());
        // Two names and two slashes, and room for what is made at once.
        let mut names: Ascii<42> = Ascii::blank();
        let mut end = 0;
        for _ in 0..3 {
            end = letters::words(random, 5, b'_', end, &mut names);
            end = names.put_text(end, "/");
        }
        let directories_length = directories.put_text(0, names.text(end - 1)) as u8;
        let number_length = number.map_or(0, |number| own.put_text(0, &number.to_string()) as u8);
        let id_length = match number {
            Some(number) if random.below(NAMELESS_RATIO) > 0 => {
                id.put_text(0, &number.reverse_bits().wrapping_abs().to_string()) as u8 + ID_BYTES as u8
            }
            _ => 0,
        };
        Self { number: own, directories, id, number_length, directories_length, id_length }
    }
}

/// All channels, the hot ones first.
#[derive(Debug)]
pub(super) struct Channels(Vec<Special>);

impl Channels {
    pub fn new(key: u64) -> Self {
        let mut random = Random::new(mix(key), 0);
        let numbers = HOT.iter().map(|_| None).chain((0..COLD as i32).map(Some));
        Self(numbers.map(|number| Special::new(number, &mut random)).collect())
    }

    /// One of the hot channels, or one of the others, chosen by `bits`.
    #[inline]
    pub fn of(&self, hot: bool, bits: u64) -> Channel {
        let among_hot = bits % HOT.len() as u64;
        let among_cold = HOT.len() as u64 + scale((bits >> 32) as u32, COLD);
        let special = self.0[select_unpredictable(hot, among_hot, among_cold) as usize];
        let (name, name_length) = &NAMES[select_unpredictable(hot, among_hot as usize, HOT.len())];
        Channel { name, name_length: *name_length, special }
    }
}

/// A channel.
pub(super) struct Channel {
    name: &'static Ascii<8>,
    name_length: usize,
    special: Special,
}

impl Channel {
    /// Writes its name and its URL to the front of `room`; gives where the name ends, and the URL.
    #[inline]
    pub fn write<const N: usize>(&self, room: &mut Ascii<N>) -> (usize, usize) {
        let special = &self.special;
        room.put(0, self.name);
        room.put(self.name_length, &special.number);
        let name_end = self.name_length + usize::from(special.number_length);
        room.put(name_end, &HOST);
        room.put(name_end + HOST_BYTES, &special.directories);
        let page = name_end + HOST_BYTES + usize::from(special.directories_length);
        room.put(page, &PAGE);
        let id = page + PAGE_BYTES;
        room.put(id, &ID);
        room.put(id + ID_BYTES, &special.id);
        (name_end, id + usize::from(special.id_length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(channels: &Channels, hot: bool, bits: u64) -> (String, String) {
        let mut room: Ascii<BYTES> = Ascii::blank();
        let (name_end, url_end) = channels.of(hot, bits).write(&mut room);
        let text = room.text(url_end);
        (text[..name_end].to_owned(), text[name_end..].to_owned())
    }

    #[track_caller]
    fn check_url(url: &str) -> &str {
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

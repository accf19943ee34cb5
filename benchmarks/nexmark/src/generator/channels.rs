//! Where bids come from: four hot channels, and ten thousand others whose name and address are always the same.

use super::{
    letters,
    random::{Random, mix},
};

/// Channels that are not hot.
const COLD: u64 = 10_000;
const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// One of so many URLs of channels that are not hot does not name its channel.
const NAMELESS_RATIO: u64 = 10;

/// A channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel<'a> {
    pub name: &'a str,
    pub url: &'a str,
}

/// All channels, in one text.
#[derive(Debug)]
pub(super) struct Channels {
    text: String,
    /// The hot ones first.
    places: Vec<Place>,
}

/// Where a channel is in the text.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    name: u16,
    url: u16,
}

impl Channels {
    pub fn new(key: u64) -> Self {
        let mut channels = Self { text: String::new(), places: Vec::new() };
        let mut random = Random::new(mix(key), 0);
        for name in HOT {
            channels.push(name, &mut random, None);
        }
        for number in 0..COLD as i32 {
            let id = (random.below(NAMELESS_RATIO) > 0).then(|| number.reverse_bits().wrapping_abs());
            channels.push(&format!("channel-{number}"), &mut random, id);
        }
        channels
    }

    fn push(&mut self, name: &str, random: &mut Random, id: Option<i32>) {
        let start = self.text.len() as u32;
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str("https://www.nexmark.com/");
        for _ in 0..3 {
            self.text.push_str(letters::words(random, 5, b'_', &mut [0; 8]));
            self.text.push('/');
        }
        self.text.push_str("item.htm?query=1");
        if let Some(id) = id {
            self.text.push_str(&format!("&channel_id={id}"));
        }
        let url = (self.text.len() - name_end) as u16;
        self.places.push(Place { start, name: name.len() as u16, url });
    }

    fn at(&self, index: u64) -> Channel<'_> {
        let Place { start, name, url } = self.places[index as usize];
        let name_end = start as usize + usize::from(name);
        Channel { name: &self.text[start as usize..name_end], url: &self.text[name_end..name_end + usize::from(url)] }
    }

    /// One of the hot ones.
    #[inline]
    pub fn hot(&self, random: &mut Random) -> Channel<'_> {
        self.at(random.below(HOT.len() as u64))
    }

    /// One of the others.
    #[inline]
    pub fn cold(&self, random: &mut Random) -> Channel<'_> {
        self.at(HOT.len() as u64 + random.below(COLD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_names_and_addresses() {
        let channels = Channels::new(1);
        let mut with_id = 0;
        for index in 0..COLD + 4 {
            let Channel { name, url } = channels.at(index);
            let (address, id) = url.split_once("?query=1").unwrap();
            let parts: Vec<&str> = address.split('/').collect();
            assert_eq!([parts[0], parts[1], parts[2], parts[6]], ["https:", "", "www.nexmark.com", "item.htm"], "{url}");
            assert!(parts[3..6].iter().all(|part| (3..5).contains(&part.len())), "{url}");
            match index.checked_sub(4) {
                None => assert_eq!((name, id), (HOT[index as usize], "")),
                Some(number) => {
                    assert_eq!(name, format!("channel-{number}"));
                    let expected = format!("&channel_id={}", (number as i32).reverse_bits().wrapping_abs());
                    assert!(id.is_empty() || id == expected, "{url}");
                    with_id += usize::from(!id.is_empty());
                }
            }
        }
        assert!((8_900..9_100).contains(&with_id), "{with_id}");
    }
}

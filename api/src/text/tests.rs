use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use flott_core::{codec, key_group::stable_hash};
use proptest::prelude::*;

use super::{Short, Text};

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[track_caller]
fn check(text: &Text, expected: &str) {
    assert_eq!(text, expected);
    assert_eq!((text.to_string(), format!("{text:?}")), (expected.to_owned(), format!("{expected:?}")));
    assert_eq!(text.clone(), *text);
    assert_eq!(Text::from(String::from(text.clone())), *text);
    assert_eq!(hash_of(text), hash_of(expected));
    assert_eq!(stable_hash(text), stable_hash(expected));
    let encoded = codec::to_vec(text).unwrap();
    assert_eq!(encoded, codec::to_vec(expected).unwrap());
    assert_eq!(codec::decode::<Text>(&encoded).unwrap(), *text);
    assert_eq!(serde_json::to_string(text).unwrap(), serde_json::to_string(expected).unwrap());
}

proptest! {
    #[test]
    fn a_text_is_what_a_string_is(content in "[ -~]{0,20}|\\PC{0,8}") {
        check(&Text::from(&*content), &content);
        check(&Text::from(content.clone()), &content);
    }

    #[test]
    fn parts_are_cut_wherever_they_lie(content in "[ab]{0,40}|\\PC{0,12}", from: prop::sample::Index, to: prop::sample::Index) {
        let mut ends = [from, to].map(|index| index.index(content.chars().count() + 1));
        ends.sort_unstable();
        let [start, end] = ends.map(|at| content.char_indices().nth(at).map_or(content.len(), |(byte, _)| byte));
        check(&Text::cut(&content, start..end), &content[start..end]);
    }

    #[test]
    fn texts_are_ordered_as_strings(a in "[ab]{0,17}", b in "[ab]{0,17}") {
        let (text, other) = (Text::from(&*a), Text::from(&*b));
        prop_assert_eq!(text.cmp(&other), a.cmp(&b));
        prop_assert_eq!(text == other, a == b);
    }

    #[test]
    fn pieces_lie_between_separators(content in "([ab]{0,20} {0,3}){0,12}|\\PC{0,80}") {
        let expected: Vec<_> = content.split(' ').filter(|piece| !piece.is_empty()).collect();
        prop_assert_eq!(Text::pieces(&content, b' ').collect::<Vec<_>>(), expected);
    }
}

#[test]
fn every_length_has_its_bytes_and_zeros_behind() {
    let all = "abcdefghijklmnopqrstuvwxyz";
    for length in 0..=15 {
        let mut expected = [0; 16];
        expected[..length].copy_from_slice(&all.as_bytes()[..length]);
        expected[15] = length as u8;
        let bytes = |short: Short| [short.low, short.high].map(u64::to_ne_bytes).concat();
        assert_eq!(bytes(Short::all(&all.as_bytes()[..length])), expected);
        assert_eq!(bytes(Short::first(all.as_bytes().first_chunk().unwrap(), length).unwrap()), expected);
    }
}

#[test]
fn pieces_come_out_of_texts_of_any_length() {
    for length in 0..200 {
        let content: String = "a bc  def ".chars().cycle().take(length).collect();
        let expected: Vec<_> = content.split(' ').filter(|piece| !piece.is_empty()).collect();
        assert_eq!(Text::pieces(&content, b' ').collect::<Vec<_>>(), expected, "{length} bytes");
    }
}

#[test]
#[should_panic(expected = "characters are not cut")]
fn half_a_character_is_not_cut_off() {
    Text::cut("ä and some more of it", 0..1);
}

#[test]
#[should_panic(expected = "a separator is a character of ASCII, not the byte 0xc3")]
fn separators_that_are_not_ascii_are_refused() {
    Text::pieces("ä", 0xc3);
}

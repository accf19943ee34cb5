mod twin;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Wrapped(Option<i16>),
    Pair(u8, Box<str>),
    Named { x: i64, tags: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rich {
    numbers: (u8, u16, u32, u64, u128),
    signed: (i8, i16, i32, i64, i128),
    flag: bool,
    letter: char,
    text: String,
    bits: (u32, u64),
    maybe: Option<Option<u32>>,
    unit: Unit,
    newtype: Newtype,
    shapes: Vec<Shape>,
    map: BTreeMap<String, Vec<u8>>,
    array: [u16; 3],
    #[serde(skip)]
    forgotten: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

fn nested(depth: usize) -> Node {
    (1..depth).fold(Node { next: None }, |next, _| Node { next: Some(Box::new(next)) })
}

/// A sequence that does not know its length beforehand, or is wrong about it.
struct Claims(Option<usize>, Vec<u16>);

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(self.0)?;
        self.1.iter().try_for_each(|element| sequence.serialize_element(element))?;
        sequence.end()
    }
}

struct UncountedMap(Vec<(u8, u8)>);

impl Serialize for UncountedMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, bytes: &[u8]) {
    assert_eq!(to_vec(&value).unwrap(), bytes);
    assert_eq!(decode::<T>(bytes).unwrap(), value);
}

#[track_caller]
fn check_refused<T: DeserializeOwned + Debug>(bytes: &[u8], message: &str) {
    assert_eq!(decode::<T>(bytes).unwrap_err().to_string(), message);
}

#[test]
fn layout_is_fixed_width_and_bare() {
    check((1u64, 2u64), &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    check((0x0102u16, -1i32, true), &[2, 1, 255, 255, 255, 255, 1]);
    check(1.0f32, &[0, 0, 128, 63]);
    check('é', &[0xe9, 0, 0, 0]);
    check("hé".to_string(), &[3, 0, 0, 0, b'h', 0xc3, 0xa9]);
    check(vec![7u16, 8], &[2, 0, 0, 0, 7, 0, 8, 0]);
    check(Some(5u8), &[1, 5]);
    check(None::<u8>, &[0]);
    check(((), Unit), &[]);
    check(Shape::Nothing, &[0, 0, 0, 0]);
    check(Shape::Wrapped(None), &[1, 0, 0, 0, 0]);
    check(Shape::Pair(9, "a".into()), &[2, 0, 0, 0, 9, 1, 0, 0, 0, b'a']);
    check(BTreeMap::from([(1u8, 2u8)]), &[1, 0, 0, 0, 1, 2]);
    check(HashMap::from([(1u8, ())]), &[1, 0, 0, 0, 1]);
}

#[test]
fn strings_and_bytes_borrow_from_the_input() {
    let bytes = to_vec(&("word", 7u8)).unwrap();
    let (word, number): (&str, u8) = decode(&bytes).unwrap();
    assert_eq!((word, number), ("word", 7));
    assert!(bytes.as_ptr_range().contains(&word.as_ptr()));
}

#[test]
fn a_sequence_is_counted_whatever_it_claims() {
    for claim in [None, Some(2), Some(0), Some(9), Some(usize::MAX)] {
        assert_eq!(to_vec(&Claims(claim, vec![7, 8])).unwrap(), [2, 0, 0, 0, 7, 0, 8, 0]);
    }
    assert_eq!(to_vec(&UncountedMap(vec![(1, 2), (3, 4)])).unwrap(), [2, 0, 0, 0, 1, 2, 3, 4]);
}

/// Passes on no error of its fields.
struct Regardless;

impl Serialize for Regardless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for _ in 0..100 {
            let _ = sequence.serialize_element(&7u64);
        }
        sequence.end()
    }
}

#[test]
fn a_value_that_ignores_errors_cannot_pass_for_written() {
    let mut out = Vec::with_capacity(100);
    let error = encode(&Regardless, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "the value's Serialize goes on after an error");
    assert!(out.is_empty());
}

#[test]
fn values_are_whole_at_every_capacity() {
    let value = (1u8, "text", vec![2u16, 3], Some(Shape::Pair(4, "x".into())));
    let expected = twin::to_vec(&value).unwrap();
    for capacity in 0..expected.len() + 2 {
        let mut out = Vec::with_capacity(capacity);
        encode(&value, &mut out).unwrap();
        assert_eq!(out, expected);
        encode(&value, &mut out).unwrap();
        assert_eq!(out, expected.repeat(2));
    }
}

#[test]
fn displayed_values_are_strings() {
    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}-{}", 1, "x"))
        }
    }
    assert_eq!(to_vec(&Shown).unwrap(), to_vec("1-x").unwrap());
}

#[test]
fn wrong_bytes_are_named_with_their_place() {
    check_refused::<(u8, u32)>(&[1, 2, 3], "input ends too early: 4 more bytes expected, 2 left (at byte 1)");
    check_refused::<u8>(&[1, 2, 3], "2 bytes left over after the value (at byte 1)");
    check_refused::<(u8, bool)>(&[1, 2], "a boolean is 2, expected 0 or 1 (at byte 2)");
    check_refused::<Option<u8>>(&[9], "the presence of an option is 9, expected 0 or 1 (at byte 1)");
    check_refused::<char>(&[0, 0xd8, 0, 0], "0xd800 is not a character (at byte 4)");
    check_refused::<String>(&[1, 0, 0, 0, 0xff], "string is not UTF-8 (at byte 5)");
    check_refused::<String>(
        &[255, 255, 255, 255, 1],
        "input ends too early: 4294967295 more bytes expected, 1 left (at byte 4)",
    );
    check_refused::<Shape>(&[4, 0, 0, 0], "invalid value: integer `4`, expected variant index 0 <= i < 4 (at byte 4)");
    check_refused::<serde_json::Value>(&[0; 9], "a value of unknown type needs a self-describing format (at byte 0)");
}

#[test]
fn a_field_that_is_sometimes_left_out_is_refused() {
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        sparse: Option<u8>,
    }
    let mut out = vec![42];
    assert_eq!(
        encode(&Sparse { sparse: None }, &mut out).unwrap_err().to_string(),
        "sparse needs a self-describing format"
    );
    assert_eq!(out, [42]);
}

#[test]
fn what_can_be_written_can_be_read_up_to_the_depth_limit() {
    // Each node is two levels: its struct and its option.
    let deepest = nested(DEPTH_MAX as usize / 2);
    assert_eq!(decode::<Node>(&to_vec(&deepest).unwrap()).unwrap(), deepest);
    let deeper = nested(DEPTH_MAX as usize / 2 + 1);
    assert_eq!(to_vec(&deeper).unwrap_err().kind(), &CodecErrorKind::TooDeep);
    assert_eq!(decode::<Node>(&[1; 100_000]).unwrap_err().kind(), &CodecErrorKind::TooDeep);
}

#[test]
fn elements_without_bytes_are_bounded_over_the_whole_input() {
    let claim = |count: u32| count.to_le_bytes();
    assert_eq!(decode::<Vec<()>>(&claim(EMPTY_ELEMENTS_MAX)).unwrap().len(), EMPTY_ELEMENTS_MAX as usize);
    assert_eq!(decode::<Vec<()>>(&claim(u32::MAX)).unwrap_err().kind(), &CodecErrorKind::TooManyEmpty);
    let two_halves = [claim(2), claim(EMPTY_ELEMENTS_MAX), claim(1)].concat();
    assert_eq!(decode::<Vec<Vec<()>>>(&two_halves).unwrap_err().kind(), &CodecErrorKind::TooManyEmpty);
    assert_eq!(
        decode_batch_into::<()>(&[], usize::MAX, &mut Vec::new()).unwrap_err().kind(),
        &CodecErrorKind::TooManyEmpty
    );
    assert!(to_vec(&vec![(); EMPTY_ELEMENTS_MAX as usize + 1]).is_err());
}

#[test]
fn many_values_without_content_of_their_own_are_fine_behind_keys() {
    let set: BTreeMap<u32, ()> = (0..EMPTY_ELEMENTS_MAX + 1).map(|key| (key, ())).collect();
    assert_eq!(decode::<BTreeMap<u32, ()>>(&to_vec(&set).unwrap()).unwrap().len(), set.len());
}

#[test]
fn a_claimed_batch_reserves_by_its_bytes() {
    let mut out: Vec<u64> = Vec::new();
    assert!(decode_batch_into(&[0; 17], usize::MAX, &mut out).is_err());
    assert!(out.is_empty() && out.capacity() < 64);
}

#[test]
fn a_failed_batch_leaves_the_output_as_it_was() {
    let mut out = vec![5u16];
    assert!(decode_batch_into(&[1, 0, 2, 0, 3], 3, &mut out).is_err());
    assert!(decode_batch_into(&[1, 0, 2, 0, 3, 0], 2, &mut out).is_err());
    assert_eq!(out, [5]);
    let mut bytes = vec![7];
    assert!(encode_batch(&[nested(1), nested(500)], &mut bytes).is_err());
    assert_eq!(bytes, [7]);
}

#[test]
fn a_failed_prefix_stays_where_it_was() {
    let mut rest: &[u8] = &[1, 0, 2];
    assert_eq!(decode_prefix::<u16>(&mut rest).unwrap(), 1);
    assert!(decode_prefix::<u16>(&mut rest).is_err());
    assert_eq!(rest, [2]);
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        any::<Option<i16>>().prop_map(Shape::Wrapped),
        (any::<u8>(), any::<String>()).prop_map(|(number, text)| Shape::Pair(number, text.into())),
        (any::<i64>(), any::<Vec<String>>()).prop_map(|(x, tags)| Shape::Named { x, tags }),
    ]
}

prop_compose! {
    fn riches()(
        numbers in any::<(u8, u16, u32, u64, u128)>(),
        signed in any::<(i8, i16, i32, i64, i128)>(),
        (flag, letter, text) in any::<(bool, char, String)>(),
        bits in any::<(u32, u64)>(),
        maybe in any::<Option<Option<u32>>>(),
        newtype in any::<String>().prop_map(Newtype),
        shapes in prop::collection::vec(shapes(), 0..4),
        map in prop::collection::btree_map(any::<String>(), any::<Vec<u8>>(), 0..4),
        array in any::<[u16; 3]>(),
    ) -> Rich {
        Rich { numbers, signed, flag, letter, text, bits, maybe, unit: Unit, newtype, shapes, map, array, forgotten: 0 }
    }
}

proptest! {
    #[test]
    fn rich_values_come_back(value in riches(), cut in any::<prop::sample::Index>()) {
        let bytes = to_vec(&value).unwrap();
        prop_assert_eq!(&bytes, &twin::to_vec(&value).unwrap());
        prop_assert_eq!(&decode::<Rich>(&bytes).unwrap(), &value);
        prop_assert!(decode::<Rich>(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn floats_keep_their_bits(single in any::<u32>(), double in any::<u64>()) {
        let bytes = to_vec(&(f32::from_bits(single), f64::from_bits(double))).unwrap();
        let (a, b): (f32, f64) = decode(&bytes).unwrap();
        prop_assert_eq!((a.to_bits(), b.to_bits()), (single, double));
    }

    #[test]
    fn batches_come_back_by_both_ways(values in any::<Vec<(String, u64, Option<i8>)>>()) {
        let mut bytes = Vec::new();
        encode_batch(&values, &mut bytes).unwrap();
        let mut batch: Vec<(String, u64, Option<i8>)> = Vec::new();
        decode_batch_into(&bytes, values.len(), &mut batch).unwrap();
        prop_assert_eq!(&batch, &values);
        let mut rest = bytes.as_slice();
        for value in &values {
            prop_assert_eq!(&decode_prefix::<(String, u64, Option<i8>)>(&mut rest).unwrap(), value);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..300)) {
        let _ = decode::<Rich>(&bytes);
        let _ = decode::<Node>(&bytes);
        let _ = decode::<Vec<Shape>>(&bytes);
        let _ = decode::<Vec<HashMap<u8, Vec<()>>>>(&bytes);
        let _ = decode::<(Option<&str>, &[u8], Box<[u64]>)>(&bytes);
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(0u8..3, 0..40)) {
        if let Ok(shapes) = decode::<Vec<Shape>>(&bytes) {
            prop_assert_eq!(to_vec(&shapes).unwrap(), bytes);
        }
    }
}

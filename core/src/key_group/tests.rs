use std::collections::HashSet;

use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::id::SubtaskIndex;

fn max(groups: u32) -> MaxParallelism {
    MaxParallelism::new(groups).unwrap()
}

#[derive(Serialize)]
enum Kind {
    Plain,
    Numbered(u32),
    Pair(u8, u8),
    Named { a: u8 },
}

#[derive(Serialize)]
struct Newtype<T>(T);

#[track_caller]
fn check_hash<K: Serialize + ?Sized>(key: &K, expected: u64) {
    let hash = stable_hash(key);
    assert_eq!(hash, expected, "is {hash:#018x}; a change here moves every stored key");
}

#[test]
fn hashes_are_those_of_earlier_releases() {
    check_hash(&0u64, 0xbbc9_c689_b7f2_9ea2);
    check_hash(&1u64, 0xcbf8_77ef_8aca_9e2d);
    check_hash(&u64::MAX, 0x9634_fb23_ee94_38cf);
    check_hash(&-1i32, 0x9634_fb23_ee94_38cf);
    check_hash("", 0xa87a_8186_a646_ce4d);
    check_hash("a", 0x371d_94c1_f02b_9667);
    check_hash("ab", 0x680b_6b2e_2ca1_3cf1);
    check_hash("the", 0x2f4b_0d55_2254_9e35);
    check_hash("word", 0x877b_d36d_c548_3c2d);
    check_hash("streams", 0xbee2_c905_43f5_fd9a);
    check_hash("dataflow", 0x8b55_e1f2_4694_523f);
    check_hash("exactly-once", 0x2056_e46d_b2b7_2c3f);
    check_hash("abcdefghijklmnop", 0x93c9_03a1_1a47_5577);
    check_hash("abcdefghijklmnopqrstuvwxyz", 0x40d1_1c2f_5a3d_fb89);
    check_hash(&"x".repeat(100), 0xe124_7a16_92f2_1aeb);
    check_hash(&(1u64, "word"), 0xa786_0b12_b0a7_79be);
    check_hash(&Some(7u32), 0x765c_23a4_13a9_054b);
    check_hash(&None::<u32>, 0xbbc9_c689_b7f2_9ea2);
    check_hash(&vec![1u8, 2], 0xfa54_fcb6_aacc_4eec);
    check_hash(&(), 0x5f6a_d19a_2e8e_34fd);
    check_hash(&Kind::Plain, 0xbbc9_c689_b7f2_9ea2);
    check_hash(&Kind::Numbered(7), 0x765c_23a4_13a9_054b);
    check_hash(&Kind::Pair(1, 2), 0xd463_2248_9918_552c);
    check_hash(&Kind::Named { a: 9 }, 0x1e62_cd2b_b9eb_d247);
    check_hash(&1.5f64, 0x69ad_0f94_93d4_9ecf);
    check_hash(&(1u128 << 100), 0x5cb2_6617_22db_8f0c);
    check_hash(&true, 0xcbf8_77ef_8aca_9e2d);
    check_hash(&'x', 0xc80d_4e4d_743a_fd6e);
}

#[test]
fn only_data_and_its_order_count() {
    assert_eq!(stable_hash("ab"), stable_hash(&String::from("ab")));
    assert_eq!(stable_hash(&Newtype(5u64)), stable_hash(&5u64));
    assert_eq!(stable_hash(&(1u8, 2u8)), stable_hash(&[1u8, 2]));
    assert_ne!(stable_hash(&("ab", "c")), stable_hash(&("a", "bc")));
    assert_ne!(stable_hash(&(1u64, 2u64)), stable_hash(&(2u64, 1u64)));
    assert_ne!(stable_hash(&(vec![1u8], vec![2u8, 3])), stable_hash(&(vec![1u8, 2], vec![3u8])));
    assert_ne!(stable_hash(&None::<u8>), stable_hash(&Some(0u8)));
    assert_ne!(stable_hash(&Kind::Plain), stable_hash(&Kind::Numbered(0)));
}

#[test]
fn every_byte_of_a_string_counts() {
    for length in 0..=200 {
        let base = vec![b'x'; length];
        let mut hashes = HashSet::from([stable_hash(std::str::from_utf8(&base).unwrap())]);
        for at in 0..length {
            let mut changed = base.clone();
            changed[at] = b'y';
            assert!(hashes.insert(stable_hash(std::str::from_utf8(&changed).unwrap())), "length {length}, byte {at}");
        }
    }
}

#[test]
fn flipping_one_bit_of_a_number_changes_about_half_of_the_hash() {
    for bit in 0..64 {
        let changed: u32 = (0..256u64).map(|i| (stable_hash(&i) ^ stable_hash(&(i ^ (1 << bit)))).count_ones()).sum();
        let mean = f64::from(changed) / 256.0;
        assert!((16.0..48.0).contains(&mean), "bit {bit}: {mean} of 64 bits change");
    }
}

/// Chi-squared over 1024 cells, per degree of freedom: about 1 when the keys fall like dice, less when more evenly.
fn unevenness(hashes: &[u64], cell: impl Fn(u64) -> u64) -> f64 {
    let mut cells = [0u32; 1024];
    hashes.iter().for_each(|hash| cells[(cell(*hash) % 1024) as usize] += 1);
    let expected = hashes.len() as f64 / 1024.0;
    cells.iter().map(|seen| (f64::from(*seen) - expected).powi(2) / expected).sum::<f64>() / 1023.0
}

#[track_caller]
fn check_spread(name: &str, hashes: impl Iterator<Item = u64>) {
    let hashes: Vec<u64> = hashes.collect();
    for (bits, unevenness) in [
        ("lowest", unevenness(&hashes, |hash| hash)),
        ("middle", unevenness(&hashes, |hash| hash >> 27)),
        ("highest", unevenness(&hashes, |hash| hash >> 54)),
        ("table's highest", unevenness(&hashes, |hash| table_hash(hash) >> 54)),
        ("group and slot", unevenness(&hashes, |hash| hash >> 59 << 5 | hash & 31)),
        ("tag and slot", unevenness(&hashes, |hash| table_hash(hash) >> 57 << 3 | hash & 7)),
    ] {
        assert!(unevenness < 1.2, "{name}: the {bits} bits are spread {unevenness:.2} times worse than dice");
    }
}

#[test]
fn keys_of_every_usual_kind_are_spread_evenly() {
    const N: u64 = 60_000;
    check_spread("sequential", (0..N).map(|i| stable_hash(&i)));
    check_spread("signed around zero", (0..N).map(|i| stable_hash(&(i as i64 - N as i64 / 2))));
    for shift in 1..47 {
        check_spread(&format!("shifted by {shift}"), (0..N).map(|i| stable_hash(&(i << shift))));
    }
    for step in [3u64, 10, 1000, 4096 + 1, 1_000_000, 1 << 32 | 1] {
        check_spread(&format!("step {step}"), (0..N).map(|i| stable_hash(&(i * step))));
    }
    check_spread("floats", (0..N).map(|i| stable_hash(&(i as f64))));
    check_spread("pairs", (0..N).map(|i| stable_hash(&(i / 245, i % 245))));
    check_spread("decimal strings", (0..N).map(|i| stable_hash(&i.to_string())));
    for width in [6, 8, 10, 16, 17, 32, 33, 40, 64] {
        check_spread(&format!("padded to {width}"), (0..N).map(|i| stable_hash(&format!("{i:0width$}"))));
        check_spread(&format!("prefixed to {width}"), (0..N).map(|i| stable_hash(&format!("{i:x<width$}"))));
    }
    check_spread(
        "short words",
        (0..26u64.pow(4) / 4).map(|i| {
            let letter = |place: u32| char::from(b'a' + (i / 26u64.pow(place) % 26) as u8);
            stable_hash(&String::from_iter([letter(3), letter(2), letter(1), letter(0)]))
        }),
    );
}

#[test]
fn different_keys_do_not_collide() {
    const N: usize = 200_000;
    assert_eq!((0..N as u64).map(|i| stable_hash(&i)).collect::<HashSet<_>>().len(), N);
    assert_eq!((0..N).map(|i| stable_hash(&format!("user-{i}"))).collect::<HashSet<_>>().len(), N);
}

#[test]
fn default_number_of_groups_is_flinks() {
    for (parallelism, groups) in
        [(0, 128), (1, 128), (85, 128), (86, 256), (128, 256), (171, 256), (172, 512), (4_000, 8192), (u32::MAX, 32768)]
    {
        assert_eq!(default_max_parallelism(parallelism).get(), groups, "parallelism {parallelism}");
    }
}

#[test]
fn impossible_numbers_are_refused() {
    assert_eq!(
        MaxParallelism::new(0).unwrap_err().to_string(),
        "maximum parallelism must be between 1 and 32768, not 0"
    );
    assert!(MaxParallelism::new(32_769).is_err());
    assert_eq!(
        KeyGroupAssignment::new(max(4), 5).unwrap_err().to_string(),
        "parallelism must be between 1 and the maximum parallelism 4, not 5"
    );
    assert!(KeyGroupAssignment::new(max(4), 0).is_err());
    assert!(KeyGroupRange::new(KeyGroup(2), KeyGroup(1)).is_err());
    assert!(serde_json::from_str::<MaxParallelism>("0").is_err());
    assert!(serde_json::from_str::<KeyGroupRange>("[2,1]").is_err());
}

#[test]
fn ranges_are_flinks() {
    let assignment = KeyGroupAssignment::new(max(128), 3).unwrap();
    let ranges: Vec<_> = (0..4).map(|index| assignment.range_of(SubtaskIndex(index))).collect();
    let range = |start, end| Some(KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).unwrap());
    assert_eq!(ranges, [range(0, 42), range(43, 85), range(86, 127), None]);
}

/// The ranges follow each other without a gap from the first group to the last, and agree with `subtask_of`.
fn check_partition(groups: u32, parallelism: u32) {
    let assignment = KeyGroupAssignment::new(max(groups), parallelism).unwrap();
    let mut next = 0;
    for index in 0..parallelism {
        let range = assignment.range_of(SubtaskIndex(index)).unwrap();
        assert_eq!(u32::from(range.start().0), next, "{groups} groups, subtask {index} of {parallelism}");
        let length = range.len() as u32;
        assert!((groups / parallelism..=groups.div_ceil(parallelism)).contains(&length));
        for group in range.iter() {
            assert_eq!(assignment.subtask_of(group), SubtaskIndex(index));
        }
        next += length;
    }
    assert_eq!(next, groups);
}

#[test]
fn ranges_partition_the_groups_for_every_small_parallelism() {
    for groups in 1..=130 {
        (1..=groups).for_each(|parallelism| check_partition(groups, parallelism));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ranges_partition_the_groups(groups in 1u32..=32768, fraction in 0.0f64..1.0) {
        check_partition(groups, 1 + (f64::from(groups - 1) * fraction) as u32);
    }

    #[test]
    fn the_router_agrees_with_the_formulas(groups in 1u32..=32768, fraction in 0.0f64..1.0, hashes in any::<[u64; 32]>()) {
        let parallelism = 1 + (f64::from(groups - 1) * fraction) as u32;
        let assignment = KeyGroupAssignment::new(max(groups), parallelism).unwrap();
        let router = assignment.router();
        for hash in hashes.into_iter().chain([0, u64::MAX]) {
            let group = key_group_of(hash, max(groups));
            let subtask = assignment.subtask_of(group);
            prop_assert_eq!(router.route(hash), subtask.0 as usize);
            prop_assert!(assignment.range_of(subtask).unwrap().contains(group));
        }
    }

    #[test]
    fn ranges_intersect_like_sets(a in 0u16..50, b in 0u16..50, c in 0u16..50, d in 0u16..50) {
        let one = KeyGroupRange::new(KeyGroup(a.min(b)), KeyGroup(a.max(b))).unwrap();
        let two = KeyGroupRange::new(KeyGroup(c.min(d)), KeyGroup(c.max(d))).unwrap();
        let both: Vec<_> = one.iter().filter(|group| two.contains(*group)).collect();
        let range: Vec<_> = one.intersection(two).map(|range| range.iter().collect()).unwrap_or_default();
        prop_assert_eq!(both, range);
    }
}

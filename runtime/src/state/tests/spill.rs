//! Tables of aggregations, in memory and on their way to disk.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Adds a number to each of the keys.
    Fold(Vec<u16>),
    Begin,
    Advance(usize),
    Finish,
    Abandon,
    /// Goes on with what the last complete snapshot has.
    GoBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(0..600u16, 0..60).prop_map(Step::Fold),
        2 => Just(Step::Begin),
        4 => (0..2_000usize).prop_map(Step::Advance),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        1 => Just(Step::GoBack),
    ];
    prop::collection::vec(step, 0..60)
}

type Table = SpillTable<u16, String>;

fn add(table: &mut Table, keys: &[u16], number: &mut u32) {
    let mut spots = Vec::new();
    for key in keys {
        *number += 1;
        let hash = KeyHash::of(key);
        let append = |(): &mut (), text: &mut String, more: String| text.push_str(&more);
        match table.in_memory() {
            Some(memory) => {
                spots.clear();
                memory.locate(&[hash], std::iter::once(key), &mut spots);
                match memory.at(spots[0]) {
                    Some((_, text)) => append(&mut (), text, format!("{number},")),
                    None => _ = memory.fold(hash, *key, format!("{number},"), &mut (), |(), text| text, append),
                }
                table.grown(1).unwrap();
            }
            None => table.fold(hash, key, format!("{number},"), &mut (), |(), text| text, append).unwrap(),
        }
    }
}

fn held(table: &mut Table) -> BTreeMap<u16, String> {
    let (mut cursor, mut held) = (Cursor::default(), BTreeMap::new());
    let mut see = |key: &u16, text: &String| {
        assert_eq!(held.insert(*key, text.clone()), None, "{key} twice");
        Ok(())
    };
    while table.walk(&mut cursor, 50, &mut see).unwrap() == Progress::More {}
    assert_eq!(held.len(), table.len());
    for (key, text) in &held {
        assert_eq!(table.find(KeyHash::of(key), key).unwrap(), Some(text));
    }
    held
}

fn check(steps: &[Step], backends: &[Backend]) {
    let new = |n: usize| Table::with_capacity(&backends[n % backends.len()], 0);
    let (mut tables, mut table, mut number) = (0, new(0), 0);
    let mut model: BTreeMap<u16, String> = BTreeMap::new();
    // What the last complete snapshot has, and the runs since the last whole one.
    let (mut at_cut, mut chain) = (BTreeMap::new(), Vec::new());
    let mut giving: Option<(BTreeMap<u16, String>, Vec<Run>)> = None;
    for step in steps {
        let bytes = match step {
            Step::Fold(keys) => {
                let mut next = number;
                for key in keys {
                    next += 1;
                    model.entry(*key).or_default().push_str(&format!("{next},"));
                }
                add(&mut table, keys, &mut number);
                continue;
            }
            Step::Begin if giving.is_none() => {
                let mut runs = chain.clone();
                if table.begin(Extent::Changed, all(8)).is_err() || runs.is_empty() {
                    table.begin(Extent::Whole, all(8)).unwrap();
                    runs.clear();
                }
                giving = Some((model.clone(), runs));
                0
            }
            Step::Advance(bytes) => *bytes,
            Step::Finish => usize::MAX,
            Step::Begin | Step::Abandon => {
                table.abandon();
                if giving.take().is_some() {
                    chain.clear();
                }
                continue;
            }
            Step::GoBack if !chain.is_empty() => {
                tables += 1;
                table = new(tables);
                chain.iter().for_each(|run: &Run| run.put_back(&mut table));
                (model, giving) = (at_cut.clone(), None);
                assert_eq!(held(&mut table), model);
                continue;
            }
            Step::GoBack => continue,
        };
        let Some((cut, runs)) = &mut giving else { continue };
        let progress = table.advance(bytes, &mut |entries| {
            runs.push(Run::of(entries));
            Ok(())
        });
        if progress.unwrap() == Progress::Done {
            assert!(!table.is_giving());
            (at_cut, chain) = (std::mem::take(cut), std::mem::take(runs));
            giving = None;
            let mut restored = Table::with_capacity(&Backend::Heap, 0);
            chain.iter().for_each(|run| run.put_back(&mut restored));
            assert_eq!(held(&mut restored), at_cut);
        }
    }
    assert_eq!(held(&mut table), model);
}

proptest! {
    #[test]
    fn a_table_in_memory_has_what_was_added(steps in steps()) {
        check(&steps, &[Backend::Heap]);
    }
}

#[cfg(feature = "disk")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_table_has_what_was_added_wherever_it_is(steps in steps()) {
        let small = crate::state::disk::tests::small();
        let tiny = crate::state::disk::tests::tiny();
        check(&steps, &[small.clone(), tiny, Backend::Heap, small]);
    }
}

#[cfg(feature = "disk")]
#[test]
fn a_table_is_in_memory_as_long_as_it_is_small() {
    let backend = crate::state::disk::tests::small();
    let (mut table, mut number) = (Table::with_capacity(&backend, 1 << 20), 0);
    add(&mut table, &[1, 2, 3], &mut number);
    assert!(table.in_memory().is_some());
    // One key alone may be too much.
    add(&mut table, &[7; 10_000], &mut number);
    assert!(table.in_memory().is_none());
    assert_eq!(table.len(), 4);
}

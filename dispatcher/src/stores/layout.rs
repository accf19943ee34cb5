//! What stores look like, pinned: each build reads what earlier builds of its format have written, as it was.
//!
//! Whoever changes a record has a test fail here, and raises [`FORMAT`]. It does not fail for what JSON may get.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use flott_core::id::{JobMasterEpoch, LeaderEpoch};

use super::{
    contract::Shared,
    format::FORMAT,
    samples::{committable, ended, id, new_job, obsolete, operations, past, savepoint_left, scale},
    *,
};

const FIRST: JobMasterEpoch = JobMasterEpoch(1);

/// Has one of each kind of record, and of each kind of change.
fn fill(store: &impl JobStore) {
    store.begin_leadership().unwrap();
    for n in 1..=5 {
        store.insert(&new_job(n)).unwrap();
    }
    let by = store.begin_mastership(id(1)).unwrap();
    store.save_manifest(id(1), by, &[committable(b"a"), committable(b"b")]).unwrap();
    store.save_scale(id(1), by, &scale()).unwrap();
    store.save_past(id(1), by, &past(2)).unwrap();
    store.mark_cancelled(id(2)).unwrap();
    store.end(FIRST, &ended(3).view, None).unwrap();
    store.end(FIRST, &ended(4).view, Some(&obsolete())).unwrap();
    store.end(FIRST, &ended(5).view, Some(&obsolete())).unwrap();
    store.cleared(&Leftover::checkpoints(id(5), FIRST, obsolete())).unwrap();
    store.forget(&[id(5)]).unwrap();
    for operation in operations() {
        store.save_operation(&operation, &[], None).unwrap();
    }
    let last = operations().pop().unwrap();
    let again = OperationRecord { at: last.at + 1, ..last };
    store.save_operation(&again, &[], Some(&savepoint_left())).unwrap();
}

/// All that a store says.
#[derive(Debug, PartialEq)]
struct Said {
    leader: LeaderEpoch,
    jobs: Vec<JobRecord>,
    archive: Vec<ArchivedJob>,
    operations: Vec<OperationRecord>,
    leftovers: Vec<Leftover>,
    known: Vec<Inserted>,
}

impl Said {
    fn by(store: &impl JobStore) -> Self {
        let mut leftovers = store.leftovers().unwrap();
        leftovers.sort();
        Self {
            jobs: store.unfinished().unwrap(),
            archive: store.archived().unwrap(),
            operations: store.operations().unwrap(),
            leftovers,
            known: (1..=5).map(|n| store.insert(&new_job(n)).unwrap()).collect(),
            leader: store.begin_leadership().unwrap(),
        }
    }
}

/// Names and contents of what a store consists of.
type Parts = BTreeMap<String, Vec<u8>>;

fn files(directory: &tempfile::TempDir) -> Parts {
    let entries = fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Of the log that a shared store is, before and after it is compacted, and of sled's tree.
fn written() -> BTreeMap<&'static str, Parts> {
    let [log, compacted, tree] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let shared = Shared::new(log.path());
    fill(&shared.open());
    let shared = Shared::new(compacted.path());
    let store = shared.open();
    fill(&store);
    for _ in 0..300 {
        if files(&compacted).len() == 1 {
            break;
        }
        store.mark_cancelled(id(2)).unwrap();
    }
    fill(&SledStore::open(tree.path()).unwrap());
    let entries = SledStore::entries(tree.path()).into_iter().map(|(key, value)| (hex(&key), value));
    [("log", files(&log)), ("compacted", files(&compacted)), ("tree", entries.collect())].into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn recorded() -> BTreeMap<&'static str, Parts> {
    let name = format!("store-format-{FORMAT}.txt");
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", &name].iter().collect();
    let current = written();
    if env::var_os("FLOTT_UPDATE_GOLDENS").is_some() && !file.exists() {
        let lines = current.iter().flat_map(|(kind, parts)| {
            parts.iter().map(move |(name, content)| format!("{kind} {name} {}\n", hex(content)))
        });
        fs::write(&file, lines.collect::<String>()).unwrap();
    }
    let text = fs::read_to_string(&file).expect("the format is new: run this with FLOTT_UPDATE_GOLDENS=1");
    let parts = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        lines
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, content)| (name.to_owned(), unhex(content)))
            .collect()
    };
    let recorded: BTreeMap<_, Parts> = current.keys().map(|kind| (*kind, parts(kind))).collect();
    for (kind, parts) in &current {
        assert_eq!(parts.len(), recorded[kind].len(), "other records of a {kind}: raise FORMAT");
    }
    recorded
}

#[test]
fn what_earlier_builds_have_written_is_read_as_it_was() {
    let expected = || {
        let store = MemoryStore::default();
        fill(&store);
        Said::by(&store)
    };
    let recorded = recorded();
    for kind in ["log", "compacted"] {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in &recorded[kind] {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let shared = Shared::new(directory.path());
        assert_eq!(Said::by(&shared.open()), expected(), "a {kind} is read otherwise");
    }
    let directory = tempfile::tempdir().unwrap();
    let entries: Vec<_> = recorded["tree"].iter().map(|(key, value)| (unhex(key), value.clone())).collect();
    SledStore::of_entries(directory.path(), &entries);
    assert_eq!(Said::by(&SledStore::open(directory.path()).unwrap()), expected(), "a tree is read otherwise");
}

#[track_caller]
fn refused(refused: Result<impl Sized, StoreError>) {
    let Err(error) = refused else { panic!("it is taken") };
    assert!(matches!(error, StoreError::OtherFormat { found, .. } if found == FORMAT - 1), "{error}");
    let named = format!("format version {}, and this build reads version {FORMAT}", FORMAT - 1);
    assert!(error.to_string().contains(&named), "{error}");
}

#[test]
fn a_tree_of_another_format_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fill(&SledStore::open(directory.path()).unwrap());
    let earlier = |(key, value): (Vec<u8>, Vec<u8>)| (key, [&[FORMAT - 1], &value[1..]].concat());
    let entries: Vec<_> = SledStore::entries(directory.path()).into_iter().map(earlier).collect();
    // Of one that has had no job it says only that somebody has led.
    let leader: Vec<_> = entries.iter().filter(|(key, _)| key == b"L").cloned().collect();
    assert_eq!(leader.len(), 1);
    for entries in [entries, leader] {
        let other = tempfile::tempdir().unwrap();
        SledStore::of_entries(other.path(), &entries);
        refused(SledStore::open(other.path()).and_then(|store| store.begin_leadership()));
        assert_eq!(SledStore::entries(other.path()), entries);
    }
}

#[test]
fn a_log_of_another_format_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::new(directory.path());
    fill(&shared.open());
    let (first, mut content) = files(&directory).pop_first().unwrap();
    content[0] = FORMAT - 1;
    fs::write(directory.path().join(first), content).unwrap();
    let before = files(&directory);
    refused(shared.try_open());
    assert_eq!(files(&directory), before);
}

//! Every kind of keyed state, and timers, against a naive model, with and without a time-to-live, across chains of
//! snapshots and rescaling.

mod naive;
mod subtasks;

use std::time::Duration;

use super::*;
use crate::{batch::Timestamp, error::TaskResult, time::TimeDomain};

const KEYS: u8 = 3;

/// What is done to the states of one key. `V`, `L`, `M`, `R` and `A` are for the kinds.
#[derive(Debug, Clone)]
enum Access {
    VGet,
    VSet(u32),
    VUpdate(u32),
    VCreate(u32),
    VTake,
    LGet,
    LAdd(u32),
    LAddAll(Vec<u32>),
    LSet(Vec<u32>),
    LTake,
    MGet(u8),
    MContains(u8),
    MInsert(u8, u32),
    MInsertAll(Vec<(u8, u32)>),
    MCreate(u8, u32),
    MUpdate(u8, u32),
    MRemove(u8),
    MRetain(u32),
    MEntries,
    MLen,
    RGet,
    RAdd(u32),
    RTake,
    AGet,
    AAdd(u32),
    AMerge(u32),
    ATake,
    Clear(u8),
}

#[derive(Debug, Clone)]
enum Step {
    Access(u8, Access),
    Timer(u8, i64),
    Advance(u8),
    Begin(Extent),
    Give(usize),
    Rescale(u32),
}

fn accesses() -> impl Strategy<Value = Access> {
    let (n, entry) = (0..9u32, 0..5u8);
    let list = prop::collection::vec(n.clone(), 0..4);
    prop_oneof![
        prop_oneof![Just(Access::VGet), n.clone().prop_map(Access::VSet), n.clone().prop_map(Access::VUpdate)],
        prop_oneof![n.clone().prop_map(Access::VCreate), Just(Access::VTake)],
        prop_oneof![Just(Access::LGet), n.clone().prop_map(Access::LAdd), list.clone().prop_map(Access::LAddAll)],
        prop_oneof![list.prop_map(Access::LSet), Just(Access::LTake)],
        prop_oneof![entry.clone().prop_map(Access::MGet), entry.clone().prop_map(Access::MContains)],
        (entry.clone(), n.clone()).prop_map(|(entry, n)| Access::MInsert(entry, n)),
        prop::collection::vec((entry.clone(), n.clone()), 0..4).prop_map(Access::MInsertAll),
        (entry.clone(), n.clone()).prop_map(|(entry, n)| Access::MCreate(entry, n)),
        (entry.clone(), n.clone()).prop_map(|(entry, n)| Access::MUpdate(entry, n)),
        prop_oneof![entry.prop_map(Access::MRemove), n.clone().prop_map(Access::MRetain)],
        prop_oneof![Just(Access::MEntries), Just(Access::MLen)],
        prop_oneof![Just(Access::RGet), n.clone().prop_map(Access::RAdd), Just(Access::RTake)],
        prop_oneof![Just(Access::AGet), n.clone().prop_map(Access::AAdd)],
        prop_oneof![n.prop_map(Access::AMerge), Just(Access::ATake)],
        (0..5u8).prop_map(Access::Clear),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..KEYS, accesses()).prop_map(|(key, access)| Step::Access(key, access)),
        5 => (1..8u8).prop_map(Step::Advance),
        3 => (0..KEYS, 0..9i64).prop_map(|(key, at)| Step::Timer(key, at)),
        1 => prop_oneof![1 => Just(Extent::Whole), 3 => Just(Extent::Changed)].prop_map(Step::Begin),
        4 => (1..60usize).prop_map(Step::Give),
        1 => (1..5u32).prop_map(Step::Rescale),
    ];
    prop::collection::vec(step, 0..250)
}

/// Milliseconds to live, whether reading counts as a use, and whether there is a search.
type Ttl = Option<(u64, bool, bool)>;

fn ttls() -> impl Strategy<Value = Ttl> {
    prop_oneof![1 => Just(None), 3 => (1..15u64, any::<bool>(), any::<bool>()).prop_map(Some)]
}

fn state_ttl((millis, reads, search): (u64, bool, bool)) -> StateTtl {
    let ttl = StateTtl::new(Duration::from_millis(millis));
    let ttl = if reads { ttl.update_on_read() } else { ttl };
    if search { ttl } else { ttl.no_cleanup() }
}

/// Not commutative, so that order shows.
fn reduce(value: &mut u64, item: u64) {
    *value = value.wrapping_mul(31).wrapping_add(item);
}

/// Gathers numbers in order.
#[derive(Clone)]
struct Gather;

impl Aggregate for Gather {
    type In = u32;
    type Accumulator = Vec<u32>;
    type Out = String;

    fn create(&self) -> Vec<u32> {
        Vec::new()
    }

    fn add(&self, all: &mut Vec<u32>, n: u32) {
        all.push(n);
    }

    fn result(&self, all: &Vec<u32>) -> String {
        format!("{all:?}")
    }

    fn merge(&self, into: &mut Vec<u32>, other: Vec<u32>) {
        into.extend(other);
    }
}

struct Subtask {
    states: KeyedStates<u8>,
    value: ValueState<u32>,
    list: ListState<u32>,
    map: MapState<u8, u32>,
    reduction: ReducingState<u64>,
    gathered: AggregatingState<Gather>,
}

impl Subtask {
    fn new(ttl: Option<StateTtl>, backend: &Backend) -> Self {
        fn state<'a>(states: &'a mut KeyedStates<u8>, name: &'a str, ttl: Option<StateTtl>) -> StateDescriptor<'a, u8> {
            let state = states.state(name);
            match ttl {
                Some(ttl) => state.ttl(ttl),
                None => state,
            }
        }
        let mut states = KeyedStates::default();
        states.keep_in(backend);
        let value = state(&mut states, "value", ttl).value().unwrap();
        let list = state(&mut states, "list", ttl).list().unwrap();
        let map = state(&mut states, "map", ttl).map().unwrap();
        let reduction = state(&mut states, "reduction", ttl).reducing(reduce).unwrap();
        let gathered = state(&mut states, "gathered", ttl).aggregating(Gather).unwrap();
        Self { states, value, list, map, reduction, gathered }
    }

    /// What the access gives, in words.
    fn access(&mut self, key: u8, access: Access) -> TaskResult<String> {
        let Self { states, value, list, map, reduction, gathered } = self;
        let states = with_key(states, key);
        Ok(match access {
            Access::VGet => format!("{:?}", value.get(states)?),
            Access::VSet(n) => format!("{:?}", value.set(states, n)?),
            Access::VUpdate(n) => format!("{:?}", value.update(states, |value| *value += n)?),
            Access::VCreate(n) => {
                let value = value.get_or_insert_with(states, || n)?;
                *value += 1;
                format!("{value:?}")
            }
            Access::VTake => format!("{:?}", value.take(states)?),
            Access::LGet => format!("{:?}", list.get(states)?),
            Access::LAdd(n) => format!("{:?}", list.add(states, n)?),
            Access::LAddAll(all) => format!("{:?}", list.add_all(states, all)?),
            Access::LSet(all) => format!("{:?}", list.set(states, all)?),
            Access::LTake => format!("{:?}", list.take(states)?),
            Access::MGet(entry) => format!("{:?}", map.get(states, &entry)?),
            Access::MContains(entry) => format!("{:?}", map.contains(states, &entry)?),
            Access::MInsert(entry, n) => format!("{:?}", map.insert(states, &entry, n)?),
            Access::MInsertAll(all) => format!("{:?}", map.insert_all(states, all)?),
            Access::MCreate(entry, n) => {
                let value = map.get_or_insert_with(states, &entry, || n)?;
                *value += 1;
                format!("{value:?}")
            }
            Access::MUpdate(entry, n) => format!("{:?}", map.update(states, &entry, |value| *value += n)?),
            Access::MRemove(entry) => format!("{:?}", map.remove(states, &entry)?),
            Access::MRetain(n) => format!("{:?}", map.retain(states, |_, value| *value % 3 != n % 3)?),
            Access::MEntries => format!("{:?}", map.entries(states)?.collect::<BTreeMap<_, _>>()),
            Access::MLen => format!("{:?}", (map.len(states)?, map.is_empty(states)?)),
            Access::RGet => format!("{:?}", reduction.get(states)?),
            Access::RAdd(n) => format!("{:?}", reduction.add(states, n.into())?),
            Access::RTake => format!("{:?}", reduction.take(states)?),
            Access::AGet => format!("{:?}", gathered.get(states)?),
            Access::AAdd(n) => format!("{:?}", gathered.add(states, n)?),
            Access::AMerge(n) => format!("{:?}", gathered.merge(states, vec![n, n])?),
            Access::ATake => format!("{:?}", gathered.take(states)?),
            Access::Clear(0) => format!("{:?}", value.clear(states)?),
            Access::Clear(1) => format!("{:?}", list.clear(states)?),
            Access::Clear(2) => format!("{:?}", map.clear(states)?),
            Access::Clear(3) => format!("{:?}", reduction.clear(states)?),
            Access::Clear(_) => format!("{:?}", gathered.clear(states)?),
        })
    }
}

fn check(ttl: Ttl, steps: Vec<Step>, backends: Vec<Backend>) {
    let mut model = naive::Model::new(ttl.map(|(millis, reads, _)| (millis as i64, reads)));
    let mut subtasks = subtasks::Subtasks::new(ttl.map(state_ttl), backends);
    for step in steps {
        match step {
            Step::Access(key, access) => {
                let given = subtasks.of(key).access(key, access.clone()).unwrap();
                assert_eq!(given, model.access(key, access.clone()), "{access:?} of key {key}");
            }
            Step::Timer(key, at) => {
                let states = with_key(&mut subtasks.of(key).states, key);
                if model.timers.insert((at, key)) {
                    assert!(states.set_timer(TimeDomain::Event, at).unwrap());
                } else {
                    assert!(states.delete_timer(TimeDomain::Event, at).unwrap());
                    model.timers.remove(&(at, key));
                }
            }
            Step::Advance(millis) => model.now += Timestamp::from(millis),
            Step::Begin(extent) => subtasks.begin(extent, &model),
            Step::Give(bytes) => _ = subtasks.advance(bytes),
            Step::Rescale(parallelism) => subtasks.rescale(parallelism, &model),
        }
        subtasks.set_now(model.now);
    }
}

proptest! {
    #[test]
    fn states_of_all_kinds_do_as_the_model_does(ttl in ttls(), steps in steps()) {
        check(ttl, steps, vec![Backend::Heap]);
    }
}

/// What was taken out, and was still to be given, went to the tree while room was made for what came in its place.
#[cfg(feature = "disk")]
#[test]
fn room_is_made_for_what_comes_in_the_place_of_what_is_to_be_given() {
    let steps = vec![
        Step::Rescale(1),
        Step::Rescale(1),
        Step::Access(2, Access::MInsert(4, 2)),
        Step::Access(0, Access::MCreate(1, 1)),
        Step::Access(1, Access::MInsert(2, 2)),
        Step::Begin(Extent::Changed),
        Step::Access(2, Access::Clear(2)),
        Step::Access(0, Access::MCreate(0, 3)),
        Step::Give(10),
        Step::Access(0, Access::MInsertAll(vec![(3, 0), (4, 0)])),
        Step::Begin(Extent::Changed),
        Step::Access(0, Access::MRetain(1)),
        Step::Access(2, Access::MInsert(1, 7)),
        Step::Advance(2),
        Step::Access(1, Access::MLen),
        Step::Advance(6),
        Step::Give(1),
        Step::Advance(5),
        Step::Access(2, Access::LSet(vec![])),
        Step::Access(2, Access::MInsertAll(vec![])),
        Step::Give(13),
        Step::Give(51),
        Step::Advance(7),
        Step::Access(1, Access::MLen),
        Step::Access(0, Access::MInsert(1, 0)),
        Step::Access(2, Access::LAddAll(vec![7, 8, 4])),
        Step::Access(1, Access::MInsertAll(vec![(1, 7), (4, 2), (1, 1)])),
        Step::Give(47),
        Step::Give(28),
        Step::Access(0, Access::MInsertAll(vec![])),
        Step::Access(1, Access::MLen),
        Step::Timer(0, 6),
        Step::Access(2, Access::RGet),
        Step::Access(1, Access::LTake),
        Step::Advance(5),
        Step::Timer(1, 8),
        Step::Access(1, Access::RAdd(8)),
        Step::Access(0, Access::MInsertAll(vec![])),
        Step::Advance(1),
        Step::Advance(6),
        Step::Access(0, Access::LAdd(2)),
        Step::Access(2, Access::LAddAll(vec![5, 8])),
        Step::Access(1, Access::LAdd(5)),
        Step::Give(58),
        Step::Give(59),
        Step::Timer(2, 8),
        Step::Access(0, Access::AMerge(1)),
        Step::Timer(2, 2),
        Step::Access(2, Access::MRemove(1)),
        Step::Give(11),
        Step::Access(0, Access::LAddAll(vec![1, 4])),
        Step::Give(59),
        Step::Access(2, Access::MCreate(0, 5)),
    ];
    let disk = crate::state::disk::tests::tiny();
    check(Some((10, true, false)), steps, vec![disk.clone(), disk, Backend::Heap]);
}

#[cfg(feature = "disk")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn states_of_all_kinds_do_as_the_model_does_on_disk(ttl in ttls(), steps in steps()) {
        let disk = crate::state::disk::tests::tiny();
        check(ttl, steps, vec![disk.clone(), disk, Backend::Heap]);
    }
}

//! What a function keeps per window: values, lists and maps.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    CountTrigger, Failure, FunctionResult, ProcessWindowFunction, Stream, TimeWindow, TumblingEventTimeWindows,
    WindowContext, WindowListState, WindowMapState, WindowOpen, WindowValueState,
    testing::{Harness, HarnessOptions},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

const SIZE: i64 = 10;

/// What a record has a function do with the state of its window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Op {
    Set(u8),
    GetOrInsert(u8),
    Update(u8),
    Take,
    Clear,
    Add(u8),
    AddAll(Vec<u8>),
    SetList(Vec<u8>),
    TakeList,
    ClearList,
    Insert(u8, u8),
    InsertAll(Vec<(u8, u8)>),
    GetOrInsertEntry(u8, u8),
    UpdateEntry(u8, u8),
    Contains(u8),
    Remove(u8),
    Retain(u8),
    ClearMap,
}

fn op() -> impl Strategy<Value = Op> {
    let (byte, entry, bytes) = (any::<u8>(), 0u8..5, prop::collection::vec(any::<u8>(), 0..3));
    prop_oneof![
        byte.prop_map(Op::Set),
        byte.prop_map(Op::GetOrInsert),
        byte.prop_map(Op::Update),
        Just(Op::Take),
        Just(Op::Clear),
        byte.prop_map(Op::Add),
        bytes.clone().prop_map(Op::AddAll),
        bytes.prop_map(Op::SetList),
        Just(Op::TakeList),
        Just(Op::ClearList),
        (entry.clone(), byte).prop_map(|(entry, value)| Op::Insert(entry, value)),
        prop::collection::vec((entry.clone(), byte), 0..3).prop_map(Op::InsertAll),
        (entry.clone(), byte).prop_map(|(entry, value)| Op::GetOrInsertEntry(entry, value)),
        (entry.clone(), byte).prop_map(|(entry, value)| Op::UpdateEntry(entry, value)),
        entry.clone().prop_map(Op::Contains),
        entry.clone().prop_map(Op::Remove),
        entry.prop_map(Op::Retain),
        Just(Op::ClearMap),
    ]
}

/// What there is behind an op: what it answered, and all that is kept for the window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Kept {
    key: u8,
    start: i64,
    answer: String,
    value: Option<u8>,
    list: Vec<u8>,
    map: Vec<(u8, u8)>,
}

/// Key and what to do.
type Row = (u8, Op);

#[derive(Clone, Default)]
struct Doing {
    value: WindowValueState<TimeWindow, u8>,
    list: WindowListState<TimeWindow, u8>,
    map: WindowMapState<TimeWindow, u8, u8>,
}

impl ProcessWindowFunction for Doing {
    type Key = u8;
    type Window = TimeWindow;
    type In = Row;
    type Out = Kept;

    fn open(&mut self, ctx: &mut WindowOpen<'_, u8, TimeWindow>) -> FunctionResult {
        self.value = ctx.window_value("value")?;
        self.list = ctx.window_list("list")?;
        self.map = ctx.window_map("map")?;
        Ok(())
    }

    fn process(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        elements: &[Row],
        ctx: &mut WindowContext<'_, u8, TimeWindow, Kept>,
    ) -> FunctionResult {
        let Self { value, list, map } = self;
        let Some((_, op)) = elements.last() else { return Err("no element".into()) };
        let mut answer = String::new();
        match op.clone() {
            Op::Set(to) => value.set(ctx, to)?,
            Op::GetOrInsert(first) => answer = value.get_or_insert_with(ctx, || first)?.to_string(),
            Op::Update(by) => answer = value.update(ctx, |value| *value = value.wrapping_add(by))?.to_string(),
            Op::Take => answer = format!("{:?}", value.take(ctx)?),
            Op::Clear => value.clear(ctx)?,
            Op::Add(last) => list.add(ctx, last)?,
            Op::AddAll(last) => list.add_all(ctx, last)?,
            Op::SetList(all) => list.set(ctx, all)?,
            Op::TakeList => answer = format!("{:?}", list.take(ctx)?),
            Op::ClearList => list.clear(ctx)?,
            Op::Insert(entry, value) => map.insert(ctx, &entry, value)?,
            Op::InsertAll(entries) => map.insert_all(ctx, entries)?,
            Op::GetOrInsertEntry(entry, first) => {
                answer = map.get_or_insert_with(ctx, &entry, || first)?.to_string();
            }
            Op::UpdateEntry(entry, by) => {
                answer = map.update(ctx, &entry, |value| *value = value.wrapping_add(by))?.to_string();
            }
            Op::Contains(entry) => answer = format!("{} {:?}", map.contains(ctx, &entry)?, map.get(ctx, &entry)?),
            Op::Remove(entry) => answer = format!("{:?}", map.remove(ctx, &entry)?),
            Op::Retain(from) => map.retain(ctx, |entry, _| *entry >= from)?,
            Op::ClearMap => map.clear(ctx)?,
        }
        let mut entries: Vec<_> = map.entries(ctx)?.map(|(entry, value)| (*entry, *value)).collect();
        entries.sort_unstable();
        let mut keys: Vec<_> = map.keys(ctx)?.copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, entries.iter().map(|(entry, _)| *entry).collect::<Vec<_>>());
        assert_eq!(map.values(ctx)?.count(), entries.len());
        assert_eq!((map.len(ctx)?, map.is_empty(ctx)?), (entries.len(), entries.is_empty()));
        let (value, list) = (value.get(ctx)?.copied(), list.get(ctx)?.to_vec());
        ctx.emit(Kept { key: *key, start: window.start, answer, value, list, map: entries });
        Ok(())
    }
}

/// What a window of a key has.
#[derive(Default)]
struct Model {
    value: Option<u8>,
    list: Vec<u8>,
    map: BTreeMap<u8, u8>,
}

impl Model {
    fn apply(&mut self, op: Op) -> String {
        let Self { value, list, map } = self;
        match op {
            Op::Set(to) => *value = Some(to),
            Op::GetOrInsert(first) => return value.get_or_insert(first).to_string(),
            Op::Update(by) => {
                *value = value.map(|value| value.wrapping_add(by));
                return value.is_some().to_string();
            }
            Op::Take => return format!("{:?}", value.take()),
            Op::Clear => *value = None,
            Op::Add(last) => list.push(last),
            Op::AddAll(last) => list.extend(last),
            Op::SetList(all) => *list = all,
            Op::TakeList => return format!("{:?}", std::mem::take(list)),
            Op::ClearList => list.clear(),
            Op::Insert(entry, value) => _ = map.insert(entry, value),
            Op::InsertAll(entries) => map.extend(entries),
            Op::GetOrInsertEntry(entry, first) => return map.entry(entry).or_insert(first).to_string(),
            Op::UpdateEntry(entry, by) => {
                return map.get_mut(&entry).map(|value| *value = value.wrapping_add(by)).is_some().to_string();
            }
            Op::Contains(entry) => return format!("{} {:?}", map.contains_key(&entry), map.get(&entry)),
            Op::Remove(entry) => return format!("{:?}", map.remove(&entry)),
            Op::Retain(from) => map.retain(|entry, _| *entry >= from),
            Op::ClearMap => map.clear(),
        }
        String::new()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Record(Row, i64),
    Watermark(i64),
    /// Everything starts over from a snapshot, with so many subtasks.
    Restart(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0u8..3, op(), 0i64..3 * SIZE).prop_map(|(key, op, ahead)| Step::Record((key, op), ahead)),
        1 => (0i64..SIZE).prop_map(Step::Watermark),
        1 => (1u32..4).prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 0..80).prop_map(|mut steps| {
        // Records are ahead of the watermark.
        let mut now = 0;
        for step in &mut steps {
            match step {
                Step::Record(_, at) => *at += now,
                Step::Watermark(at) => {
                    now += *at;
                    *at = now - 1;
                }
                Step::Restart(_) => {}
            }
        }
        steps
    })
}

fn build(rows: Stream<Row>) -> Stream<Kept> {
    let windows = rows.key_by(|row| row.0).window(TumblingEventTimeWindows::of(Duration::from_millis(SIZE as u64)));
    windows.trigger(CountTrigger::of(1)).process(Doing::default())
}

/// What comes out, and how much is left for keys when all windows are over.
fn run(steps: &[Step]) -> Result<(Vec<Kept>, usize), Failure> {
    let (mut harness, mut kept) = (Harness::new(build), Vec::new());
    for step in steps {
        match step {
            Step::Record(row, at) => harness.push_at(row.clone(), *at)?,
            Step::Watermark(at) => harness.watermark(*at)?,
            Step::Restart(subtasks) => {
                let snapshot = harness.snapshot()?;
                kept.extend(harness.take());
                harness = Harness::with(HarnessOptions::new().parallelism(*subtasks).from_snapshot(&snapshot), build);
            }
        }
    }
    harness.watermark(1_000_000)?;
    let left = harness.snapshot()?.keyed_entries();
    harness.end()?;
    kept.extend(harness.take());
    Ok((kept, left))
}

proptest! {
    #[test]
    fn windows_keep_what_a_model_keeps(steps in steps()) {
        let mut model = BTreeMap::<(u8, i64), Model>::new();
        let mut expected = Vec::new();
        for step in &steps {
            let Step::Record((key, op), at) = step else { continue };
            let start = at - at.rem_euclid(SIZE);
            let state = model.entry((*key, start)).or_default();
            let answer = state.apply(op.clone());
            let Model { value, list, map } = state;
            let map = map.iter().map(|(entry, value)| (*entry, *value)).collect();
            expected.push(Kept { key: *key, start, answer, value: *value, list: list.clone(), map });
        }
        let (mut kept, left) = run(&steps).unwrap();
        kept.sort();
        expected.sort();
        prop_assert_eq!(kept, expected);
        prop_assert_eq!(left, 0, "something is kept longer than its window");
    }
}

/// Asks for a name twice, as different things.
#[derive(Clone)]
struct Twice;

impl ProcessWindowFunction for Twice {
    type Key = u8;
    type Window = TimeWindow;
    type In = Row;
    type Out = Kept;

    fn open(&mut self, ctx: &mut WindowOpen<'_, u8, TimeWindow>) -> FunctionResult {
        ctx.window_list::<u8>("name")?;
        ctx.window_map::<u8, u8>("name")?;
        Ok(())
    }

    fn process(
        &mut self,
        _: &u8,
        _: &TimeWindow,
        _: &[Row],
        _: &mut WindowContext<'_, u8, TimeWindow, Kept>,
    ) -> FunctionResult {
        Ok(())
    }
}

#[test]
fn a_name_stands_for_one_state_of_windows() {
    let mut harness = Harness::new(|rows: Stream<Row>| {
        let windows = rows.key_by(|row| row.0).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
        windows.process(Twice)
    });
    let failure = harness.push_at((0, Op::Take), 0).unwrap_err();
    assert!(failure.to_string().contains("\"window/name\" is a map of"), "{failure}");
}

//! Timers against a naive model: none is lost, doubled, early or out of order, whatever the times and the cuts between
//! batches are.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    Context, FunctionResult, GlobalWindow, GlobalWindows, KeyedContext, KeyedProcessFunction, ProcessFunction, Stream,
    TimeDomain, Timer, Trigger, TriggerContext, TriggerResult,
    testing::{Harness, HarnessOptions},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Command {
    Set(i64),
    Delete(i64),
    SetProcessing(i64),
    DeleteProcessing(i64),
}

use Command::{Delete, DeleteProcessing, Set, SetProcessing};

/// What a timer of `domain` at `at` does when it fires: it sets and deletes others.
fn reactions(domain: TimeDomain, at: i64) -> Vec<Command> {
    let mut commands = Vec::new();
    if at.rem_euclid(3) == 0 {
        commands.push(Set(at.saturating_add(1)));
    }
    if at.rem_euclid(5) == 0 {
        commands.extend([Delete(at.saturating_add(2)), DeleteProcessing(at.saturating_add(2))]);
    }
    if at.rem_euclid(7) == 0 {
        commands.push(match domain {
            TimeDomain::Event => SetProcessing(at.rem_euclid(50)),
            TimeDomain::Processing => Set(at.rem_euclid(50)),
        });
    }
    commands
}

/// A timer that has fired: its key, whether in event time, its time, and the watermark and processing time at which it did.
type Fired = (u8, bool, i64, i64, i64);

/// Does what its records say.
#[derive(Clone)]
struct Scripted;

impl Scripted {
    fn obey(commands: Vec<Command>, ctx: &mut KeyedContext<'_, u8, Fired>) -> FunctionResult {
        for command in commands {
            match command {
                Set(at) => ctx.register_event_time_timer(at)?,
                Delete(at) => ctx.delete_event_time_timer(at)?,
                SetProcessing(at) => ctx.register_processing_time_timer(at)?,
                DeleteProcessing(at) => ctx.delete_processing_time_timer(at)?,
            };
        }
        Ok(())
    }
}

impl KeyedProcessFunction for Scripted {
    type Key = u8;
    type In = (u8, Vec<Command>);
    type Out = Fired;

    fn process(&mut self, (_, commands): Self::In, ctx: &mut KeyedContext<'_, u8, Fired>) -> FunctionResult {
        Self::obey(commands, ctx)
    }

    fn on_timer(&mut self, Timer { at, domain }: Timer, ctx: &mut KeyedContext<'_, u8, Fired>) -> FunctionResult {
        let fired = (*ctx.key()?, domain == TimeDomain::Event, at, ctx.watermark(), ctx.processing_time());
        assert_eq!(ctx.timestamp(), (domain == TimeDomain::Event).then_some(at));
        ctx.emit(fired);
        Self::obey(reactions(domain, at), ctx)
    }
}

/// Sets a timer for each millisecond, from a record's time to the end.
#[derive(Clone)]
struct Ticks;

/// More timers than may be set without end when the input has ended.
const END: i64 = 1_200_000;

impl KeyedProcessFunction for Ticks {
    type Key = u8;
    type In = u8;
    type Out = i64;

    fn process(&mut self, _: u8, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        let at = ctx.timestamp().unwrap_or_default();
        ctx.register_event_time_timer(at).map(drop)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u8, i64>) -> FunctionResult {
        match timer.at {
            END => ctx.emit(END),
            at => ctx.register_event_time_timer(at + 1).map(drop)?,
        }
        Ok(())
    }
}

#[test]
fn timers_set_others_up_to_the_last_record_when_the_final_watermark_is_the_only_one() {
    let mut harness = Harness::new(|records: Stream<u8>| records.key_by(|key| *key).process(Ticks));
    harness.batch_at([(1, 0), (2, END)]).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [END, END]);
}

#[test]
fn timers_set_others_up_to_the_last_record_of_a_snapshot() {
    let build = |records: Stream<u8>| records.key_by(|key| *key).process(Ticks);
    let mut harness = Harness::with(HarnessOptions::new().parallelism(2), build);
    harness.batch_at([(1, 0), (2, END)]).unwrap();
    let snapshot = harness.snapshot().unwrap();
    for subtasks in [1, 2, 3] {
        let mut harness = Harness::with(HarnessOptions::new().parallelism(subtasks).from_snapshot(&snapshot), build);
        harness.end().unwrap();
        assert_eq!(harness.take(), [END, END], "{subtasks} subtasks");
    }
}

/// As [`Ticks`], of windows without end, which fire at the end of it.
#[derive(Clone)]
struct TicksOfWindows;

impl Trigger<u8, GlobalWindow> for TicksOfWindows {
    type State = ();

    fn on_element(
        &mut self,
        _: &u8,
        timestamp: i64,
        _: &GlobalWindow,
        ctx: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        ctx.register_event_time_timer(timestamp);
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(
        &mut self,
        time: i64,
        _: &GlobalWindow,
        ctx: &mut TriggerContext<'_, ()>,
    ) -> FunctionResult<TriggerResult> {
        if time == END {
            return Ok(TriggerResult::Fire);
        }
        ctx.register_event_time_timer(time + 1);
        Ok(TriggerResult::Continue)
    }
}

#[test]
fn windows_without_end_have_timers_set_up_to_the_last_record_of_a_snapshot() {
    let build = |records: Stream<u8>| {
        let windows = records.key_by(|key| *key).window(GlobalWindows::create()).trigger(TicksOfWindows);
        windows.apply(|key, _, records, out| out.emit((*key, records.len())))
    };
    let mut harness = Harness::with(HarnessOptions::new().parallelism(2), build);
    harness.batch_at([(1, 0), (2, END)]).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut harness = Harness::with(HarnessOptions::new().from_snapshot(&snapshot), build);
    harness.end().unwrap();
    let mut fired = harness.take();
    fired.sort_unstable();
    assert_eq!(fired, [(1, 1), (2, 1)]);
}

/// Takes records by key or without.
#[derive(Clone)]
struct Stateless;

impl KeyedProcessFunction for Stateless {
    type Key = u8;
    type In = u8;
    type Out = u8;

    fn process(&mut self, record: u8, ctx: &mut KeyedContext<'_, u8, u8>) -> FunctionResult {
        ctx.emit(record);
        Ok(())
    }
}

impl ProcessFunction for Stateless {
    type In = u8;
    type Out = u8;

    fn process(&mut self, record: u8, ctx: &mut Context<'_, u8>) -> FunctionResult {
        ctx.emit(record);
        Ok(())
    }
}

#[test]
fn a_function_without_keys_takes_the_place_of_one_that_kept_nothing() {
    let keyed = |records: Stream<u8>| records.key_by(|key| *key).process(Stateless).uid("function");
    let mut harness = Harness::new(keyed);
    harness.batch_at([(1, 0), (2, END)]).unwrap();
    let options = HarnessOptions::new().from_snapshot(&harness.snapshot().unwrap());
    let mut harness = Harness::with(options, |records: Stream<u8>| records.process(Stateless).uid("function"));
    harness.push_at(3, END).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [3]);
}

#[test]
fn timers_that_set_others_far_beyond_the_last_record_are_told() {
    let mut harness = Harness::new(|records: Stream<u8>| records.key_by(|key| *key).process(Ticks));
    harness.push_at(1, 0).unwrap();
    let failure = harness.end().unwrap_err();
    assert!(failure.message.contains("without end"), "{failure}");
}

/// Sets of timers, looked through from the beginning.
struct Model {
    event: BTreeSet<(i64, u8)>,
    processing: BTreeSet<(i64, u8)>,
    watermark: i64,
    now: i64,
    fired: Vec<Fired>,
}

impl Model {
    fn obey(&mut self, key: u8, commands: &[Command]) {
        for command in commands {
            match *command {
                Set(at) => self.event.insert((at, key)),
                Delete(at) => self.event.remove(&(at, key)),
                SetProcessing(at) => self.processing.insert((at, key)),
                DeleteProcessing(at) => self.processing.remove(&(at, key)),
            };
        }
    }

    fn fire(&mut self, key: u8, domain: TimeDomain, at: i64) {
        self.fired.push((key, domain == TimeDomain::Event, at, self.watermark, self.now));
        self.obey(key, &reactions(domain, at));
    }

    fn fire_event(&mut self) {
        while let Some(&(at, key)) = self.event.first().filter(|(at, _)| *at <= self.watermark) {
            self.event.pop_first();
            self.fire(key, TimeDomain::Event, at);
        }
    }

    fn fire_processing(&mut self) {
        while let Some(&(at, key)) = self.processing.first().filter(|(at, _)| *at <= self.now) {
            self.processing.pop_first();
            self.fire(key, TimeDomain::Processing, at);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Batch(records) => records.iter().for_each(|(key, commands)| self.obey(*key, commands)),
            Step::Watermark(watermark) if *watermark > self.watermark => {
                self.watermark = *watermark;
                self.fire_event();
            }
            Step::Watermark(_) => {}
            Step::Advance(by) => {
                let until = self.now.saturating_add(i64::from(*by));
                while let Some(&(at, _)) = self.processing.first().filter(|(at, _)| *at <= until) {
                    self.now = at.max(self.now);
                    self.fire_processing();
                }
                self.now = until;
            }
            Step::Jump(now) => self.now = self.now.max(*now),
        }
        self.fire_processing();
    }

    fn end(&mut self) {
        self.take(&Step::Watermark(i64::MAX));
        // Those that are still there fire, and those in event time that they set; no others.
        self.fire_event();
        for (at, key) in std::mem::take(&mut self.processing) {
            self.fire(key, TimeDomain::Processing, at);
        }
        self.fire_event();
        self.processing.clear();
    }

    /// What has fired since the last question: in order of time, and of keys where times are equal.
    fn fired(&mut self) -> Vec<Fired> {
        std::mem::take(&mut self.fired)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<(u8, Vec<Command>)>),
    Watermark(i64),
    Advance(u8),
    Jump(i64),
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        20 => -20i64..60,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 2, i64::MAX - 1, i64::MAX]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let command = prop_oneof![
        4 => time().prop_map(Set),
        1 => time().prop_map(Delete),
        3 => time().prop_map(SetProcessing),
        1 => time().prop_map(DeleteProcessing),
    ];
    let record = (0u8..3, prop::collection::vec(command, 0..4));
    let step = prop_oneof![
        6 => prop::collection::vec(record, 1..4).prop_map(Step::Batch),
        3 => time().prop_map(Step::Watermark),
        2 => (0u8..30).prop_map(Step::Advance),
        // At the very end of time the clock cannot go on, and no timer is waited for.
        1 => time().prop_map(|now| Step::Jump(now.min(60))),
    ];
    prop::collection::vec(step, 0..12)
}

/// Timers of one time may fire in any order.
fn sorted_within_times(mut fired: Vec<Fired>) -> Vec<Fired> {
    for run in fired.chunk_by_mut(|a, b| (a.1, a.2) == (b.1, b.2)) {
        run.sort_unstable();
    }
    fired
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn timers_fire_as_in_the_model(steps in steps(), start in prop_oneof![3 => Just(0i64), 1 => -30i64..30, 1 => Just(i64::MIN)]) {
        let options = HarnessOptions::new().start_at(start);
        let mut harness = Harness::with(options, |records: Stream<(u8, Vec<Command>)>| {
            records.key_by(|(key, _)| *key).process(Scripted)
        });
        let mut model = Model {
            event: BTreeSet::new(),
            processing: BTreeSet::new(),
            watermark: i64::MIN,
            now: start,
            fired: Vec::new(),
        };
        for step in steps {
            match step.clone() {
                Step::Batch(records) => harness.batch(records).unwrap(),
                Step::Watermark(watermark) => harness.watermark(watermark).unwrap(),
                Step::Advance(by) => harness.advance(Duration::from_millis(by.into())).unwrap(),
                Step::Jump(now) => harness.set_time(now).unwrap(),
            }
            model.take(&step);
            prop_assert_eq!(sorted_within_times(harness.take()), model.fired(), "after {:?}", step);
            prop_assert_eq!(harness.now(), model.now);
            prop_assert_eq!(harness.state_size().timers, model.event.len() + model.processing.len());
        }
        harness.end().unwrap();
        model.end();
        prop_assert_eq!(sorted_within_times(harness.take()), model.fired(), "at the end");
        prop_assert_eq!(harness.state_size().timers, 0);
    }
}

//! Every sort of function has lists.

use std::time::Duration;

use flott::{
    BroadcastOpen, BroadcastProcessFunction, BroadcastState, BroadcastStates, CoProcessFunction, Context,
    FunctionResult, JoinContext, KeyedBroadcastContext, KeyedBroadcastOpen, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedContext, KeyedOpen, KeyedProcessFunction, ListOperatorState, OpenContext,
    ProcessJoinFunction, ProcessWindowFunction, Stream, TimeDelta, TimeWindow, Timer, TumblingEventTimeWindows,
    ValueState, WindowContext, WindowOpen,
    testing::{Harness, Harness2},
};

use super::{Held, check_both};
use crate::{env, run_error};

#[derive(Clone, Default)]
struct Two(Held);

impl CoProcessFunction for Two {
    type Left = u64;
    type Right = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = Held::open(ctx)?;
        Ok(())
    }

    fn process_left(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.hold(number, ctx)
    }

    fn process_right(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.hold(number, ctx)
    }

    fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.release(ctx, |number| number)
    }
}

/// Right numbers are held by timers.
#[derive(Clone, Default)]
struct KeyedTwo {
    held: Held,
    right: ValueState<u64>,
}

impl KeyedCoProcessFunction for KeyedTwo {
    type Key = u64;
    type Left = u64;
    type Right = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.held = Held::open(ctx)?;
        // Keyed states have names of their own.
        self.right = ctx.value("numbers")?;
        Ok(())
    }

    fn process_left(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        self.held.hold(number, ctx)
    }

    fn process_right(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        self.right.set(ctx, number)?;
        ctx.register_event_time_timer(20)?;
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        let number = self.right.take(ctx)?.ok_or("nothing waits")?;
        self.held.hold(number, ctx)
    }

    fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.held.release(ctx, |number| number)
    }
}

#[derive(Clone, Default)]
struct Told {
    held: Held,
    last: BroadcastState<(), u64>,
}

impl BroadcastProcessFunction for Told {
    type In = u64;
    type Broadcast = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
        self.last = ctx.broadcast_state("last")?;
        self.held = Held::open(ctx)?;
        Ok(())
    }

    fn process(&mut self, number: u64, _: &BroadcastStates, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.held.hold(number, ctx)
    }

    fn process_broadcast(
        &mut self,
        number: u64,
        states: &mut BroadcastStates,
        ctx: &mut Context<'_, u64>,
    ) -> FunctionResult {
        self.last.insert(states, &(), number)?;
        self.held.hold(number, ctx)
    }

    fn finish(&mut self, states: &BroadcastStates, ctx: &mut Context<'_, u64>) -> FunctionResult {
        assert_eq!(self.last.get(states, &())?, Some(&6));
        self.held.release(ctx, |number| number)
    }
}

/// Numbers are held by timers.
#[derive(Clone, Default)]
struct KeyedTold {
    held: Held,
    last: BroadcastState<(), u64>,
}

impl KeyedBroadcastProcessFunction for KeyedTold {
    type Key = u64;
    type In = u64;
    type Broadcast = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut KeyedBroadcastOpen<'_, u64>) -> FunctionResult {
        self.held = Held::open(ctx)?;
        self.last = ctx.broadcast_state("last")?;
        Ok(())
    }

    fn process(&mut self, _: u64, _: &BroadcastStates, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        ctx.register_event_time_timer(20)?;
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        number: u64,
        states: &mut BroadcastStates,
        ctx: &mut KeyedBroadcastContext<'_, u64, u64>,
    ) -> FunctionResult {
        self.last.insert(states, &(), number)?;
        self.held.hold(number, ctx)
    }

    fn on_timer(&mut self, _: Timer, states: &BroadcastStates, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        assert_eq!(self.last.get(states, &())?, Some(&6));
        let key = *ctx.key()?;
        self.held.hold(key, ctx)
    }

    fn finish(&mut self, _: &BroadcastStates, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.held.release(ctx, |number| number)
    }
}

#[test]
fn functions_of_two_streams_have_lists() {
    check_both(|left, right| left.connect(&right).process(Two::default()));
    check_both(|left, right| left.key_by(|n| *n).connect(&right.key_by(|n| *n)).process(KeyedTwo::default()));
    check_both(|left, right| left.connect_broadcast(&right).process(Told::default()));
    check_both(|left, right| left.key_by(|n| *n).connect_broadcast(&right).process(KeyedTold::default()));
}

/// Holds pairs as one number.
#[derive(Clone, Default)]
struct Joined(Held);

impl ProcessJoinFunction for Joined {
    type Left = u64;
    type Right = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = Held::open(ctx)?;
        Ok(())
    }

    fn process(&mut self, left: &u64, right: &u64, ctx: &mut JoinContext<'_, u64>) -> FunctionResult {
        self.0.hold(10 * left + right, ctx)
    }

    fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.release(ctx, |pair| pair)
    }
}

#[test]
fn functions_of_pairs_have_lists() {
    let mut harness = Harness2::new(|left: Stream<u64>, right: Stream<u64>| {
        let keyed = left.key_by(|_| 0).interval_join(&right.key_by(|_| 0));
        keyed.between(TimeDelta::ZERO, TimeDelta::from_millis(5)).process(Joined::default())
    });
    harness.left().push_all_at([(1, 10), (2, 12), (3, 20)]).unwrap();
    harness.right().push_at(4, 13).unwrap();
    assert!(harness.take().is_empty());
    harness.end().unwrap();
    let mut pairs = harness.take();
    pairs.sort_unstable();
    assert_eq!(pairs, [14, 24]);
}

/// Numbers the windows of a subtask, whatever their keys.
#[derive(Clone, Default)]
struct Numbering {
    windows: ListOperatorState<i64>,
    of_key: ValueState<usize>,
}

impl ProcessWindowFunction for Numbering {
    type Key = u64;
    type Window = TimeWindow;
    type In = u64;
    type Out = (u64, i64, usize, usize);

    fn open(&mut self, ctx: &mut WindowOpen<'_, u64, TimeWindow>) -> FunctionResult {
        self.windows = ctx.operator_list("windows")?;
        self.of_key = ctx.value("windows")?;
        Ok(self.windows.clear(ctx)?)
    }

    fn process(
        &mut self,
        key: &u64,
        window: &TimeWindow,
        _: &[u64],
        ctx: &mut WindowContext<'_, u64, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        self.windows.add(ctx, window.start)?;
        let of_key = self.of_key.get_or_insert_with(ctx, || 0)?;
        *of_key += 1;
        let of_key = *of_key;
        let number = self.windows.get(ctx)?.len();
        ctx.emit((*key, window.start, of_key, number));
        Ok(())
    }
}

#[test]
fn functions_of_windows_have_lists() {
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        let windows = TumblingEventTimeWindows::of(Duration::from_millis(10));
        numbers.key_by(|n| n % 2).window(windows).process(Numbering::default())
    });
    harness.push_at(1, 5).unwrap();
    harness.watermark(9).unwrap();
    harness.push_at(2, 15).unwrap();
    harness.watermark(19).unwrap();
    harness.push_at(3, 25).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [(1, 0, 1, 1), (0, 10, 1, 2), (1, 20, 2, 3)]);
}

/// Holds one number of each key.
#[derive(Clone, Default)]
struct OfEach {
    held: Held,
    known: ValueState<()>,
}

impl KeyedProcessFunction for OfEach {
    type Key = u64;
    type In = u64;
    type Out = (u64, String);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.held = Held::open(ctx)?;
        self.known = ctx.value("known")?;
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        if self.known.get(ctx)?.is_none() {
            self.known.set(ctx, ())?;
            self.held.hold(number, ctx)?;
        }
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        self.held.release(ctx, |number| (number, "first".to_owned()))
    }
}

#[test]
fn keyed_functions_have_lists_beside_what_they_keep_per_key() {
    crate::check(
        |env| env.sequence(1, 1_000).parallelism(1).key_by(|n| n % 10).process(OfEach::default()),
        (1..=10).map(|n| (n, "first".to_owned())).collect(),
    );
}

#[test]
fn lists_and_broadcast_states_have_their_names_in_common() {
    #[derive(Clone)]
    struct Both;

    impl BroadcastProcessFunction for Both {
        type In = u64;
        type Broadcast = u64;
        type Out = u64;

        fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
            ctx.operator_list::<u8>("rules")?;
            ctx.broadcast_state::<u8, u16>("rules").map(drop)
        }

        fn process(&mut self, _: u64, _: &BroadcastStates, _: &mut Context<'_, u64>) -> FunctionResult {
            Ok(())
        }

        fn process_broadcast(&mut self, _: u64, _: &mut BroadcastStates, _: &mut Context<'_, u64>) -> FunctionResult {
            Ok(())
        }
    }

    let env = env(1);
    env.sequence(1, 2).connect_broadcast(&env.sequence(1, 2)).process(Both).discard();
    let error = run_error(&env);
    let expected = "operator state \"rules\" is a split list of u8, and cannot be a broadcast map of u8 to u16 too";
    assert!(error.contains(expected), "{error}");
}

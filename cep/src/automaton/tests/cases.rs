//! Cases made by hand, those of the documentation of Flink's CEP library among them.

use std::time::Duration;

use super::{Automaton, Found, Scratch};
use crate::{
    AfterMatchSkip::{self, NoSkip, PastLastEvent, ToFirst, ToLast, ToNext},
    Match, Pattern, PatternError,
};

/// An event such as `b2`; its kind is the letter.
type Named = String;

fn is(letters: &'static str) -> impl Fn(&Named) -> bool + Send + Sync {
    move |event| event.starts_with(|letter| letters.contains(letter))
}

fn shown(found: &Match<Named>) -> String {
    found.iter().flat_map(|(_, events)| events).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// What comes of `events`, such as `a1 b2@17`: without a time it is that of the event before and a millisecond.
fn search(pattern: &Pattern<Named>, events: &str) -> (Vec<String>, Vec<String>) {
    let automaton = Automaton::new(pattern).unwrap();
    let (mut runs, mut scratch, mut found) = (automaton.runs(None).unwrap(), Scratch::default(), Found::default());
    let mut time = 0;
    for event in events.split_whitespace() {
        let (event, at) = event.split_once('@').unwrap_or((event, ""));
        time = at.parse().unwrap_or(time + 1);
        automaton.event(&mut runs, event.to_owned(), time, &mut scratch, &mut found).unwrap();
    }
    automaton.advance(&mut runs, i64::MAX, &mut found).unwrap();
    (found.matches.iter().map(shown).collect(), found.timed_out.iter().map(shown).collect())
}

/// Checks all matches of events, in any order.
#[track_caller]
fn check(pattern: &Pattern<Named>, events: &str, expected: &[&str]) {
    let (mut matches, _) = search(pattern, events);
    matches.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(matches, expected);
}

/// Checks all matches of events in their order, and what has timed out.
#[track_caller]
fn check_in_order(pattern: &Pattern<Named>, events: &str, expected: &[&str], timed_out: &[&str]) {
    let (matches, late) = search(pattern, events);
    assert_eq!(
        (matches, late),
        (expected.iter().map(ToString::to_string).collect(), timed_out.iter().map(ToString::to_string).collect())
    );
}

fn a() -> Pattern<Named> {
    Pattern::begin("a").filter(is("a"))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn contiguity_between_parts() {
    let events = "a c b1 b2";
    check(&a().next("b").filter(is("b")), events, &[]);
    check(&a().followed_by("b").filter(is("b")), events, &["a b1"]);
    check(&a().followed_by_any("b").filter(is("b")), events, &["a b1", "a b2"]);
}

#[test]
fn contiguity_within_loops() {
    let events = "a b1 d1 b2 d2 b3 c";
    let b = || a().followed_by_any("b").filter(is("b")).one_or_more();
    check(&b().consecutive().next("c").filter(is("c")), events, &["a b3 c"]);
    let relaxed = ["a b1 c", "a b1 b2 c", "a b1 b2 b3 c", "a b2 c", "a b2 b3 c", "a b3 c"];
    check(&b().followed_by("c").filter(is("c")), events, &relaxed);
    let all: Vec<_> = relaxed.into_iter().chain(["a b1 b3 c"]).collect();
    check(&b().allow_combinations().followed_by("c").filter(is("c")), events, &all);
}

#[test]
fn loops_that_begin_with_the_first() {
    let events = "c d a1 a2 a3 d a4 b";
    let loops = || Pattern::begin("c").filter(is("c")).followed_by("a").filter(is("a")).one_or_more();
    let end = |pattern: Pattern<Named>| pattern.followed_by("b").filter(is("b"));
    let all = ["c a1 b", "c a1 a2 b", "c a1 a2 a3 b", "c a1 a2 a3 a4 b"];
    check(&end(loops()), events, &all);
    check(&end(loops().consecutive()), events, &all[..3]);
    let starts = ["c a1 b", "c a1 a2 b", "c a1 a3 b", "c a1 a4 b", "c a1 a2 a3 b", "c a1 a2 a4 b", "c a1 a3 a4 b"];
    // The first is the first; after it any others may be left out.
    check(&end(loops().allow_combinations()), events, &[&starts[..], &["c a1 a2 a3 a4 b"]].concat());
    let any = Pattern::begin("c").filter(is("c")).followed_by_any("a").filter(is("a")).one_or_more();
    let others = ["c a2 b", "c a2 a3 b", "c a2 a4 b", "c a2 a3 a4 b", "c a3 b", "c a3 a4 b", "c a4 b"];
    check(&end(any.allow_combinations()), events, &[&starts[..], &["c a1 a2 a3 a4 b"], &others].concat());
}

#[test]
fn loops_stop_at_an_event() {
    let pattern = a().one_or_more().until(is("b"));
    check(&pattern, "a1 c a2 b a3", &["a1", "a1 a2", "a2", "a3"]);
}

#[test]
fn numbers_of_times() {
    let b = || a().followed_by("b").filter(is("b"));
    let events = "a b1 b2 x b3 b4 c";
    let c = |pattern: Pattern<Named>| pattern.followed_by("c").filter(is("c"));
    check(&c(b().times(2)), events, &["a b1 b2 c"]);
    check(&c(b().times(2).optional()), events, &["a c", "a b1 b2 c"]);
    check(&c(b().times_range(2, 3)), events, &["a b1 b2 c", "a b1 b2 b3 c"]);
    check(&c(b().times_range(0, 1)), events, &["a c", "a b1 c"]);
    check(&c(b().times_or_more(3)), events, &["a b1 b2 b3 c", "a b1 b2 b3 b4 c"]);
    check(&c(b().one_or_more().optional().greedy()), events, &["a b1 b2 b3 b4 c"]);
    check(&c(b().one_or_more().optional().greedy()), "a x c", &["a c"]);
    check(&c(b().times_or_more(5)), events, &[]);
}

#[test]
fn greedy_loops_leave_nothing_that_fits_to_what_follows() {
    let greedy = || a().followed_by("b").filter(is("bc")).one_or_more().greedy().followed_by("c").filter(is("c"));
    // Every c could be one more of the loop.
    check(&greedy(), "a b1 c1 c2", &[]);
    let d = || a().followed_by("b").filter(is("b")).one_or_more().greedy().followed_by("d").filter(is("d"));
    check(&d(), "a b1 x b2 y d1 b3 d2", &["a b1 b2 d1", "a b1 b2 b3 d2"]);
    // What stops a loop lets the rest go on.
    let until = a().followed_by("b").filter(is("b")).one_or_more().greedy().until(is("u"));
    check(&until.followed_by("d").filter(is("d")), "a b1 x u b2 d", &["a b1 d"]);
}

#[test]
fn what_must_not_come() {
    let c = |pattern: Pattern<Named>| pattern.followed_by("c").filter(is("c"));
    let not_followed = || c(a().not_followed_by("b").filter(is("b")));
    check(&not_followed(), "a x c", &["a c"]);
    check(&not_followed(), "a x b c", &[]);
    check(&not_followed(), "a1 b a2 c", &["a2 c"]);
    let not_next = || c(a().not_next("b").filter(is("b")));
    check(&not_next(), "a x b c", &["a c"]);
    check(&not_next(), "a b c", &[]);
    let at_end = || a().not_next("b").filter(is("b"));
    check(&at_end(), "a b", &[]);
    check(&at_end(), "a1 a2 b a3", &["a1"]);
    // Taking what is optional ends it.
    let optional = a().not_followed_by("b").filter(is("b")).followed_by_any("c").filter(is("c")).optional();
    let optional = optional.followed_by_any("d").filter(is("d"));
    check(&optional, "a c b d", &["a c d"]);
    check(&optional, "a b d", &[]);
    check(&optional, "a c d", &["a c d", "a d"]);
    // It must not come in the midst of a loop either.
    let after_loop = c(a().followed_by("x").filter(is("x")).one_or_more().not_followed_by("b").filter(is("b")));
    check(&after_loop, "a x1 x2 c", &["a x1 c", "a x1 x2 c"]);
    check(&after_loop, "a x1 b x2 c", &[]);
}

#[test]
fn what_must_not_come_at_the_end_needs_time() {
    let not = || a().not_followed_by("b").filter(is("b"));
    let pattern = not().within(millis(3));
    check_in_order(&pattern, "a1@1 b@2 a2@4 c@5 b@10 a3@11 b@13", &["a2"], &[]);
    check_in_order(&pattern, "a1@1 b@4", &["a1"], &[]);
    check_in_order(&not().within_since_previous(millis(3)), "a1@1 a2@2 b@4", &["a1"], &[]);
    // Until then it may be followed by something else.
    let optional = not().followed_by("c").filter(is("c")).optional().within(millis(5));
    check_in_order(&optional, "a1@1 c@3 x@9", &["a1 c", "a1"], &[]);
    check_in_order(&optional, "a1@1 c@3 b@4 x@9", &["a1 c"], &[]);
}

#[test]
fn matches_that_give_up_others() {
    let b_c = |skip: AfterMatchSkip| {
        let b = Pattern::begin("b").filter(is("b")).one_or_more().consecutive();
        b.next("c").filter(is("c")).after_match(skip)
    };
    let all = ["b1 b2 b3 c", "b2 b3 c", "b3 c"];
    for (skip, expected) in [
        (NoSkip, &all[..]),
        (ToNext, &all),
        (PastLastEvent, &all[..1]),
        (ToFirst("b".into()), &all),
        (ToLast("b".into()), &["b1 b2 b3 c", "b3 c"]),
    ] {
        check_in_order(&b_c(skip), "b1 b2 b3 c", expected, &[]);
    }
    let abc = |skip: AfterMatchSkip| {
        let pattern = Pattern::begin("x").filter(is("abc")).next("y").filter(is("bc"));
        pattern.next("c").filter(is("c")).one_or_more().greedy().next("d").filter(is("d")).after_match(skip)
    };
    let all = ["a b c1 c2 c3 d", "b c1 c2 c3 d", "c1 c2 c3 d"];
    check_in_order(&abc(NoSkip), "a b c1 c2 c3 d", &all, &[]);
    check_in_order(&abc(ToFirst("c".into())), "a b c1 c2 c3 d", &["a b c1 c2 c3 d", "c1 c2 c3 d"], &[]);
    let a_b = |skip: AfterMatchSkip| a().next("b").filter(is("b")).one_or_more().after_match(skip);
    check_in_order(&a_b(NoSkip), "a b1 b2 b3", &["a b1", "a b1 b2", "a b1 b2 b3"], &[]);
    check_in_order(&a_b(ToNext), "a b1 b2 b3", &["a b1"], &[]);
}

#[test]
fn of_matches_that_are_complete_at_once_the_longest_counts() {
    let b = Pattern::begin("b").filter(is("b")).one_or_more();
    let pattern = b.followed_by("c").filter(is("c")).after_match(PastLastEvent);
    check_in_order(&pattern, "b1 b2 b3 c b4 c", &["b1 b2 b3 c", "b4 c"], &[]);
}

#[test]
fn matches_wait_for_those_that_began_earlier() {
    let pattern = || {
        Pattern::begin("x").filter(is("ab")).followed_by("y").filter_with(|event: &Named, matched| {
            // a goes with c, b with d.
            let first = matched.events("x")[0].chars().next();
            event.starts_with(if first == Some('a') { 'c' } else { 'd' })
        })
    };
    check_in_order(&pattern(), "a b d c", &["b d", "a c"], &[]);
    check_in_order(&pattern().after_match(ToNext), "a b d c", &["a c", "b d"], &[]);
    check_in_order(&pattern().after_match(PastLastEvent), "a b d c", &["a c"], &[]);
    // Time frees what waits.
    let within = pattern().after_match(PastLastEvent).within(millis(5));
    check_in_order(&within, "a@0 b@1 d@2 c@9", &["b d"], &["a"]);
}

#[test]
fn conditions_see_what_was_matched() {
    // Events such as p12 with prices, as long as they add up to less than 50.
    let price = |event: &Named| event[1..].parse::<u32>().unwrap();
    let pattern = Pattern::begin("p").filter(is("p")).filter_with(move |event, matched| {
        matched.events("p").into_iter().map(price).sum::<u32>() + price(event) < 50 && matched.events("q").is_empty()
    });
    let pattern = pattern.one_or_more().greedy().next("end").filter(is("e"));
    check(&pattern, "p30 p10 e", &["p30 p10 e", "p10 e"]);
    check(&pattern, "p30 p30 e", &["p30 e"]);
    let either = Pattern::begin("p").filter(is("p")).or(is("q")).or_with(|_, matched| matched.timestamp() == 3);
    check(&either, "p q r s", &["p", "q", "r"]);
    let last = a().followed_by_any("b").filter_with(|event, matched| matched.last().is_some_and(|last| last < event));
    check(&last, "a2 a1 a3", &["a2 a3", "a1 a3"]);
}

#[test]
fn groups_of_parts() {
    let bc = || Pattern::begin("b").filter(is("b")).followed_by("c").filter(is("c"));
    let events = "a b1 c1 b2 c2 d";
    let d = |pattern: Pattern<Named>| pattern.followed_by("d").filter(is("d"));
    check(&d(a().next(bc())), events, &["a b1 c1 d"]);
    check(&d(a().followed_by_any(bc())), events, &["a b1 c1 d", "a b2 c2 d"]);
    check(&d(a().followed_by(bc()).times(2)), events, &["a b1 b2 c1 c2 d"]);
    check(&d(a().followed_by(bc()).optional()), events, &["a d", "a b1 c1 d"]);
    check(&d(a().followed_by(bc()).one_or_more()), events, &["a b1 c1 d", "a b1 b2 c1 c2 d"]);
    check(&d(a().followed_by(bc()).one_or_more().consecutive()), "a b1 c1 x b2 c2 d", &["a b1 c1 d"]);
    check(&Pattern::begin(bc()).times(2), events, &["b1 b2 c1 c2"]);
    check(&d(a().followed_by(bc()).one_or_more().until(is("u"))), "a b1 c1 u b2 c2 d", &["a b1 c1 d"]);
    check(&d(Pattern::begin(Pattern::begin(bc()).one_or_more()).times(2)), events, &["b1 b2 c1 c2 d"]);
}

#[test]
fn time_is_limited() {
    let pattern = || a().followed_by("b").filter(is("b")).followed_by("c").filter(is("c"));
    let within = pattern().within(millis(10));
    check_in_order(&within, "a@0 b@1 c@9", &["a b c"], &[]);
    check_in_order(&within, "a@0 b@1 c@10", &[], &["a b"]);
    check_in_order(&within, "a1@0 a2@5 b@6 c@12", &["a2 b c"], &["a1 b"]);
    let since = a().followed_by("b").filter(is("b")).within_since_previous(millis(5)).followed_by("c").filter(is("c"));
    check_in_order(&since, "a@0 b@4 c@100", &["a b c"], &[]);
    check_in_order(&since, "a@0 b@5 c@6", &[], &["a"]);
    // Events that have been a match already are no partial match, whatever else they could have become.
    let more = a().followed_by("b").filter(is("b")).one_or_more().within(millis(10));
    check_in_order(&more, "a1@0 b1@1 a2@3", &["a1 b1"], &["a2"]);
    // One partial match, however many ways there are on from it.
    let ways = a().followed_by("b").filter(is("b")).optional().followed_by("c").filter(is("c")).within(millis(10));
    check_in_order(&ways, "a@0 x@1 x@2", &[], &["a"]);
}

#[test]
fn events_that_are_a_match_in_one_way_are_no_partial_match_in_another() {
    // Two of the second part may be one and one, or two of the first: then a third one lacks.
    let twice = Pattern::begin(a().one_or_more()).times(2).within(millis(10));
    check_in_order(&twice, "a1@0 a2@1", &["a1 a2"], &["a2"]);
    let thrice = Pattern::begin(a().one_or_more()).times(3).within(millis(10));
    check_in_order(&thrice, "a1@0 a2@1 a3@2", &["a1 a2 a3"], &["a2 a3", "a3"]);
}

#[test]
fn what_an_earlier_build_kept_once_for_each_way_is_told_once() {
    let automaton = Automaton::new(&Pattern::begin(a().one_or_more()).times(3).within(millis(10))).unwrap();
    let (mut runs, mut scratch, mut found) = (automaton.runs(None).unwrap(), Scratch::default(), Found::default());
    for (event, at) in [("a1", 0), ("a2", 1)] {
        automaton.event(&mut runs, event.to_owned(), at, &mut scratch, &mut found).unwrap();
    }
    // Nodes of its own for each.
    for place in 0..runs.partials.len() {
        let shared = runs.partials[place].node;
        let mut path: Vec<_> = runs.path(Some(shared)).map(|(node, _)| (node.event, node.name)).collect();
        path.reverse();
        let mut own = None;
        for (event, name) in path {
            own = Some(runs.add_node(event, name, own).unwrap());
        }
        runs.partials[place].node = own.unwrap();
        runs.hold(own.unwrap()).unwrap();
        runs.release(shared).unwrap();
    }
    automaton.advance(&mut runs, i64::MAX, &mut found).unwrap();
    let mut timed_out: Vec<_> = found.timed_out.iter().map(shown).collect();
    timed_out.sort();
    assert_eq!(timed_out, ["a1 a2", "a2"]);
    assert_eq!(runs.kept(), (0, 0));
}

#[test]
fn times_at_the_ends_of_time_are_nothing_special() {
    let pattern = a().followed_by("b").filter(is("b")).within(Duration::MAX);
    let (least, most) = (i64::MIN, i64::MAX);
    check_in_order(&pattern, &format!("a1@{least} b1@-2 a2@{} b2@{most}", most - 1), &["a1 b1"], &["a2"]);
}

#[test]
fn partial_matches_of_another_pattern_are_refused() {
    let old = Automaton::new(&a().next("b")).unwrap();
    let (mut runs, mut scratch, mut found) = (old.runs(None).unwrap(), Scratch::default(), Found::default());
    old.event(&mut runs, "a".to_owned(), 0, &mut scratch, &mut found).unwrap();
    assert!(Automaton::new(&a().filter(is("x")).next("b")).unwrap().runs(Some(runs.clone())).is_ok());
    assert!(Automaton::new(&a().followed_by("b")).unwrap().runs(Some(runs.clone())).is_err());
    assert!(Automaton::new(&a().next("c")).unwrap().runs(Some(runs)).is_err());
}

#[test]
fn what_is_wrong_with_a_pattern_is_told() {
    #[track_caller]
    fn check(pattern: Pattern<Named>, expected: &str) {
        let error = Automaton::new(&pattern).err().map(|error: PatternError| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{error:?}");
    }
    let b = || Pattern::<Named>::begin("b");
    check(a().next("a"), "two parts of the pattern are named \"a\"");
    check(a().next(b()).not_followed_by("b").next("c"), "named \"b\"");
    check(a().next(""), "empty name");
    check(a().optional(), "every part is optional in the pattern");
    check(a().next(b().optional()), "optional in the group that begins with \"b\"");
    check(a().not_followed_by("b"), "may end with \"b\", which must not follow: `within`");
    check(a().not_followed_by("b").next("c").optional(), "may end with \"b\"");
    check(a().next("b").optional().not_next("c").next("d"), "\"c\" must not come, but the part before it is optional");
    check(a().not_next("b").one_or_more(), "`one_or_more` does not apply to \"b\"");
    check(a().not_next("b").optional(), "`optional` does not apply to \"b\"");
    check(a().times(2).one_or_more(), "`one_or_more` on \"a\" contradicts");
    check(a().one_or_more().consecutive().allow_combinations(), "`allow_combinations` on \"a\" contradicts");
    check(a().times(0), "\"a\" cannot come 0 to 0 times");
    check(a().times_range(3, 2), "\"a\" cannot come 3 to 2 times");
    check(a().greedy(), "`greedy` on \"a\" needs a part that may come several times");
    check(a().consecutive(), "`consecutive` on \"a\" needs");
    check(a().times(2).until(is("b")), "`until` on \"a\" needs a part that may come any number of times");
    check(a().next(b()).one_or_more().greedy(), "`greedy` does not apply to groups");
    check(Pattern::begin(b()).filter(is("b")), "`filter` does not apply to groups");
    check(a().next(b().after_match(ToNext)), "`after_match` does not apply to groups");
    check(
        a().one_or_more().greedy().next("b").optional().next("c"),
        "after a greedy part must not be optional, but \"b\" is",
    );
    let greedy_in_group = Pattern::begin(a().next("b").one_or_more().greedy());
    check(greedy_in_group.next("c").optional().next("d"), "after a greedy part must not be optional, but \"c\" is");
    let again = a().one_or_more().optional().greedy().next("b").one_or_more().greedy();
    check(
        Pattern::begin(again).times(2),
        "after a greedy part must not be optional, but the group that begins with \"a\" is",
    );
    check(a().within(Duration::from_micros(999)), "`within` needs a time of at least a millisecond");
    check(a().within_since_previous(Duration::ZERO), "`within_since_previous` needs");
    check(a().next("b").within_since_previous(millis(5)).within(millis(4)), "\"b\" has more time");
    check(a().after_match(ToFirst("b".into())), "skipped to \"b\"");
    check(a().not_next("b").next("c").after_match(ToLast("b".into())), "skipped to \"b\"");
    check(a().times(1_000_000), "more than 10000");
    check(Pattern::begin(Pattern::begin(a().times(1_000)).times(1_000)).times(1_000), "more than 10000");
}

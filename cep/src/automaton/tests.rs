//! Automata against a model that knows nothing of them.

use proptest::prelude::*;

use self::{
    model::Model,
    spec::{Event, Spec},
};
use super::{Automaton, Found, Scratch};
use crate::{AfterMatchSkip, Match, runs::Runs};

mod cases;
mod model;
mod spec;

type Path = Vec<(usize, usize)>;

/// What an automaton finds in `events`, and then at the end of time.
struct Searched {
    matches: Vec<Path>,
    timed_out: Vec<Path>,
}

fn path(found: &Match<Event>) -> Path {
    let named =
        found.iter().flat_map(|(name, events)| events.iter().map(move |event| (event.1, name.parse().unwrap())));
    let mut path: Path = named.collect();
    path.sort();
    path
}

fn search(automaton: &Automaton<Event>, events: &[(u8, i64)]) -> Searched {
    let (mut runs, mut scratch) = (automaton.runs(None).unwrap(), Scratch::default());
    let mut found = Found::default();
    for (place, (letter, time)) in events.iter().enumerate() {
        automaton.event(&mut runs, (*letter, place), *time, &mut scratch, &mut found).unwrap();
        check_kept(&runs);
        if place == events.len() / 2 {
            // As after a restart.
            runs = serde_json::from_slice(&serde_json::to_vec(&runs).unwrap()).unwrap();
        }
    }
    automaton.advance(&mut runs, i64::MAX, &mut found).unwrap();
    check_kept(&runs);
    let (matches, timed_out) = (found.matches.iter().map(path), found.timed_out.iter().map(path));
    Searched { matches: matches.collect(), timed_out: timed_out.collect() }
}

/// Checks that nothing is kept but what partial matches and waiting ones are made of, and none of it twice.
#[track_caller]
fn check_kept(runs: &Runs<Event>) {
    let last = runs.partials.iter().map(|partial| partial.node);
    let mut nodes = std::collections::BTreeSet::new();
    let mut events = std::collections::BTreeSet::new();
    let mut ways = std::collections::BTreeSet::new();
    for mut node in last.chain(runs.completed.iter().map(|complete| complete.node)).map(Some) {
        while let Some(id) = node.filter(|id| nodes.insert(*id)) {
            let (of, event) = runs.path(Some(id)).next().unwrap();
            events.insert(event.sequence);
            assert!(ways.insert((event.sequence, of.name, of.previous)));
            node = of.previous;
        }
    }
    assert_eq!(runs.kept(), (events.len(), nodes.len()));
    assert_eq!(runs.is_empty(), nodes.is_empty());
}

fn automaton(spec: &Spec, skip: AfterMatchSkip) -> Option<Automaton<Event>> {
    Automaton::new(&spec.pattern(skip)).ok()
}

fn check_matches(spec: &Spec, events: &[(u8, i64)]) -> Result<(), TestCaseError> {
    let Some(automaton) = automaton(spec, AfterMatchSkip::NoSkip) else {
        return Err(TestCaseError::reject("no pattern"));
    };
    let mut found = search(&automaton, events).matches;
    found.sort();
    let mut expected: Vec<_> = Model::new(spec, events).matches().into_iter().map(|found| found.path).collect();
    expected.sort();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The event before which others that begin there are given up for a match.
type Below = Box<dyn Fn(&model::Found) -> usize>;

fn skips() -> Vec<(AfterMatchSkip, Below)> {
    let of = |found: &model::Found, name| -> Vec<usize> {
        found.path.iter().filter(|(_, known)| *known == name).map(|(event, _)| *event).collect()
    };
    vec![
        (AfterMatchSkip::ToNext, Box::new(|found| found.path[0].0 + 1)),
        (AfterMatchSkip::PastLastEvent, Box::new(|found| found.path.last().unwrap().0 + 1)),
        (AfterMatchSkip::ToFirst("1".into()), Box::new(move |found| of(found, 1).first().copied().unwrap_or(0))),
        (AfterMatchSkip::ToLast("1".into()), Box::new(move |found| of(found, 1).last().copied().unwrap_or(0))),
        (AfterMatchSkip::ToLast("0".into()), Box::new(move |found| of(found, 0).last().copied().unwrap_or(0))),
    ]
}

fn check_skips(spec: &Spec, events: &[(u8, i64)]) -> Result<(), TestCaseError> {
    for (skip, below) in skips() {
        let Some(automaton) = automaton(spec, skip.clone()) else { continue };
        let found = search(&automaton, events).matches;
        let expected = Model::new(spec, events).skipping(&below);
        let expected: Vec<_> = expected.into_iter().map(|found| found.path).collect();
        prop_assert_eq!(found, expected, "{:?}", skip);
    }
    Ok(())
}

fn check_timed_out(spec: &Spec, events: &[(u8, i64)]) -> Result<(), TestCaseError> {
    let Some(automaton) = automaton(spec, AfterMatchSkip::NoSkip) else {
        return Err(TestCaseError::reject("no pattern"));
    };
    let mut found = search(&automaton, events).timed_out;
    found.sort();
    prop_assert_eq!(found, Model::new(spec, events).timed_out());
    Ok(())
}

proptest! {
    // Many patterns that are drawn make no sense.
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_matches_are_found_once(spec in spec::flat(), events in spec::events(8)) {
        check_matches(&spec, &events)?;
    }

    #[test]
    fn all_matches_of_groups_are_found_once(spec in spec::grouped(), events in spec::events(6)) {
        check_matches(&spec, &events)?;
    }

    #[test]
    fn matches_give_up_others(spec in spec::flat(), events in spec::events(8)) {
        check_skips(&spec, &events)?;
    }

    #[test]
    fn matches_of_groups_give_up_others(spec in spec::grouped(), events in spec::events(6)) {
        check_skips(&spec, &events)?;
    }

    #[test]
    fn what_does_not_become_a_match_in_time_is_told(
        spec in spec::flat(), within in 1i64..8, which in any::<u32>(), events in spec::events(8),
    ) {
        check_timed_out(&Spec { within: Some(within), ..spec.clone() }.without_gaps(), &events)?;
        check_timed_out(&spec.with_gaps(within, which), &events)?;
    }

    #[test]
    fn what_does_not_become_a_match_of_groups_in_time_is_told(
        spec in spec::grouped(), within in 1i64..8, which in any::<u32>(), events in spec::events(6),
    ) {
        check_timed_out(&Spec { within: Some(within), ..spec.clone() }, &events)?;
        check_timed_out(&spec.with_gaps(within, which), &events)?;
    }
}

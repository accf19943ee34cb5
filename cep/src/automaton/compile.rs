//! From a pattern to slots and gaps.
//!
//! This is Glushkov's construction: of each part of the pattern it is known which slots it may begin with, which it may
//! end with, and whether it may be left out; then a gap leads from each slot that something may end with to each that
//! what comes after it may begin with. There are no states but slots, so that nothing is ever gone through without an
//! event, and without groups each match is found in one way only.

use std::time::Duration;

use self::numbered::{Numbered, Numbers, millis, number_of_last};
use super::{Automaton, ConditionId, Gap, Greedy, Slot, SlotId, Start, Target};
use crate::{
    error::PatternError,
    pattern::{Contiguity, Link, Pattern},
    skip::{AfterMatchSkip, Skip},
};

mod numbered;

/// Most slots, and most gaps, that a pattern may have.
const SIZE_MAX: usize = 10_000;

impl<T: 'static> Automaton<T> {
    /// What looks for `pattern`.
    pub fn new(pattern: &Pattern<T>) -> Result<Self, PatternError> {
        pattern.check()?;
        let mut numbers = Numbers { names: Vec::new(), conditions: Vec::new() };
        let parts = numbers.parts(&pattern.steps)?;
        let mut compiler = Compiler { slots: Vec::new(), gaps: Vec::new() };
        let Fragment { first, last, .. } = compiler.sequence(&parts, None, &[])?;
        for exit in last {
            compiler.end(exit, pattern.within)?;
        }
        let place = |name: &str| numbers.names.iter().position(|known| **known == *name);
        let place = |name: &str| place(name).and_then(|place| u16::try_from(place).ok());
        let skip = match &pattern.skip {
            AfterMatchSkip::NoSkip => Some(Skip::No),
            AfterMatchSkip::ToNext => Some(Skip::ToNext),
            AfterMatchSkip::PastLastEvent => Some(Skip::PastLastEvent),
            AfterMatchSkip::ToFirst(name) => place(name).map(Skip::ToFirst),
            AfterMatchSkip::ToLast(name) => place(name).map(Skip::ToLast),
        };
        let Compiler { slots, gaps } = compiler;
        let timed = pattern.within.is_some() || gaps.iter().any(|gap| gap.within.is_some());
        let starts: Vec<_> = first.iter().map(|entry| Start { slot: entry.slot, greedy: entry.greedy }).collect();
        let shape = shape(&format!("{:?}", (&numbers.names, &slots, &gaps, &starts, pattern.within, &pattern.skip)));
        Ok(Self {
            names: numbers.names.into(),
            conditions: numbers.conditions,
            slots,
            gaps,
            starts,
            within: pattern.within.map(millis),
            timed,
            skip: skip.unwrap_or(Skip::No),
            grouped: parts.iter().any(|part| part.group.is_some()),
            shape,
        })
    }
}

/// A slot that a part may begin with, and how it is reached.
#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: SlotId,
    contiguity: Contiguity,
    within: Option<i64>,
    /// Of a part before that was left out.
    greedy: Option<Greedy>,
    /// The part's own link leads to it, and not that of a part within it.
    head: bool,
}

/// A slot that a part may end with, and what is known of the gap behind it.
#[derive(Debug, Clone)]
struct Exit {
    slot: SlotId,
    not_next: Vec<ConditionId>,
    forbidden: Vec<ConditionId>,
    greedy: Option<Greedy>,
    /// Should the pattern end here, for how long what is forbidden must not come.
    within: Option<i64>,
    /// What is forbidden, for people.
    not: Option<String>,
}

struct Fragment {
    first: Vec<Entry>,
    last: Vec<Exit>,
    optional: bool,
}

struct Compiler {
    slots: Vec<Slot>,
    gaps: Vec<Gap>,
}

impl Compiler {
    /// Parts one after the other. The first is reached by `head`, if not by its own link; parts around them stop at
    /// `untils`.
    fn sequence(
        &mut self,
        parts: &[Numbered],
        head: Option<Contiguity>,
        untils: &[ConditionId],
    ) -> Result<Fragment, PatternError> {
        let mut whole: Option<Fragment> = None;
        // Of the part before, if it may be left out.
        let mut left_out = None;
        for (index, part) in parts.iter().enumerate() {
            let Link::Next(contiguity) = part.link else {
                whole.iter_mut().flat_map(|whole| &mut whole.last).for_each(|exit| exit.forbid(part));
                continue;
            };
            let contiguity = head.filter(|_| index == 0).unwrap_or(contiguity);
            let nots: Vec<_> = match &part.group {
                None if part.repeats => following_nots(&parts[index + 1..]).collect(),
                _ => Vec::new(),
            };
            let fragment = self.repeated(part, contiguity, untils, &nots)?;
            whole = Some(match whole {
                None => fragment,
                Some(whole) => self.joined(whole, fragment, part, left_out, untils)?,
            });
            left_out = part.greed().filter(|_| part.optional);
        }
        // A pattern has a part, and begins with one that must come.
        whole.ok_or_else(|| PatternError::Empty("a group".to_owned()))
    }

    /// `whole`, and then `next`, which is `part`.
    fn joined(
        &mut self,
        whole: Fragment,
        next: Fragment,
        part: &Numbered,
        left_out: Option<Greedy>,
        untils: &[ConditionId],
    ) -> Result<Fragment, PatternError> {
        if part.optional && whole.last.iter().any(|exit| exit.greedy.is_some()) {
            return Err(PatternError::OptionalAfterGreedy(part.shown.clone()));
        }
        self.connect(&whole.last, part, &next.first, untils)?;
        let Fragment { mut first, last: before, optional } = whole;
        if optional {
            let entry = |entry: Entry| Entry { head: false, greedy: entry.greedy.or(left_out), ..entry };
            first.extend(next.first.into_iter().map(entry));
        }
        let mut last = next.last;
        if part.optional {
            last.extend(before.into_iter().map(|exit| Exit { greedy: part.greed(), ..exit }));
        }
        Ok(Fragment { first, last, optional: optional && part.optional })
    }

    /// A part with all its repetitions. What must not follow one that may come several times, `nots`, must not come in the
    /// midst of it either.
    fn repeated(
        &mut self,
        part: &Numbered,
        contiguity: Contiguity,
        around: &[ConditionId],
        nots: &[ConditionId],
    ) -> Result<Fragment, PatternError> {
        let untils: Vec<_> = around.iter().copied().chain(part.until).collect();
        let in_the_midst: Vec<_> = untils.iter().chain(nots).copied().collect();
        let from = part.times.from.max(1);
        let mut copy = self.once(part, contiguity, &untils)?;
        let first = copy.first.clone();
        let mut last = Vec::new();
        for number in 1.. {
            if number >= from {
                last.extend_from_slice(&copy.last);
            }
            if number == part.times.to.unwrap_or(from) {
                break;
            }
            let next = self.once(part, part.inner, &untils)?;
            self.connect(&copy.last, part, &next.first, &in_the_midst)?;
            copy = next;
        }
        if part.times.to.is_none() {
            let mut again = copy.first.clone();
            again.iter_mut().filter(|entry| entry.head).for_each(|entry| entry.contiguity = part.inner);
            self.connect(&copy.last, part, &again, &in_the_midst)?;
        }
        if let Some(greedy) = part.greed() {
            last.iter_mut().for_each(|exit: &mut Exit| exit.greedy = Some(greedy));
        }
        Ok(Fragment { first, last, optional: part.optional })
    }

    /// A part once; it and parts around it stop at `untils`.
    fn once(
        &mut self,
        part: &Numbered,
        contiguity: Contiguity,
        untils: &[ConditionId],
    ) -> Result<Fragment, PatternError> {
        let Numbered { name, condition, within, .. } = *part;
        if let Some(group) = &part.group {
            let mut fragment = self.sequence(group, Some(contiguity), untils)?;
            fragment.first.iter_mut().for_each(|entry| entry.within = shorter(entry.within, within));
            return Ok(fragment);
        }
        self.slots.push(Slot { name, condition, unless: untils.to_vec(), next: Vec::new(), ends: false });
        let slot = number_of_last(self.slots.len())?;
        let (not_next, forbidden) = (Vec::new(), Vec::new());
        Ok(Fragment {
            first: vec![Entry { slot, contiguity, within, greedy: None, head: true }],
            last: vec![Exit { slot, not_next, forbidden, greedy: None, within: None, not: None }],
            optional: false,
        })
    }

    /// Gaps from each of `exits` to each of `entries`, with which `next` may begin, be it the same part once more.
    fn connect(
        &mut self,
        exits: &[Exit],
        next: &Numbered,
        entries: &[Entry],
        forbidden: &[ConditionId],
    ) -> Result<(), PatternError> {
        for exit in exits {
            for entry in entries {
                if exit.greedy.is_some() && entry.greedy.is_some() {
                    return Err(PatternError::OptionalAfterGreedy(next.shown.clone()));
                }
                let gap = Gap {
                    to: Target::Slot(entry.slot),
                    contiguity: entry.contiguity,
                    not_next: exit.not_next.clone(),
                    forbidden: exit.forbidden.iter().chain(forbidden).copied().collect(),
                    greedy: exit.greedy.or(entry.greedy),
                    within: entry.within,
                };
                self.gap(exit.slot, gap)?;
            }
        }
        Ok(())
    }

    fn gap(&mut self, from: SlotId, gap: Gap) -> Result<(), PatternError> {
        let slot = &mut self.slots[from as usize];
        // Groups within groups may say the same twice.
        if !slot.next.iter().any(|known| self.gaps[*known as usize] == gap) {
            self.gaps.push(gap);
            slot.next.push(number_of_last(self.gaps.len())?);
        }
        Ok(())
    }

    /// The pattern may end with `exit`.
    fn end(&mut self, exit: Exit, whole: Option<Duration>) -> Result<(), PatternError> {
        let Exit { slot, not_next, forbidden, greedy, within, not } = exit;
        let to = match not {
            None if not_next.is_empty() => {
                self.slots[slot as usize].ends = true;
                return Ok(());
            }
            None => Target::NextEvent,
            Some(not) if whole.is_none() && within.is_none() => return Err(PatternError::EndlessNot(not)),
            Some(_) => Target::Deadline,
        };
        self.gap(slot, Gap { to, contiguity: Contiguity::Any, not_next, forbidden, greedy, within })
    }
}

impl Exit {
    /// `not` must not come behind it.
    fn forbid(&mut self, not: &Numbered) {
        if not.link == Link::NotNext {
            self.not_next.push(not.condition);
            return;
        }
        self.forbidden.push(not.condition);
        self.within = shorter(self.within, not.within);
        self.not = Some(not.shown.clone());
    }
}

/// What must not follow a part that `after` comes after.
fn following_nots(after: &[Numbered]) -> impl Iterator<Item = ConditionId> {
    let nots = after.iter().take_while(|part| part.link.is_not());
    nots.filter(|part| part.link == Link::NotFollowedBy).map(|part| part.condition)
}

/// A number for a description: FNV-1a, which is the same everywhere.
fn shape(description: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    description.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn shorter(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

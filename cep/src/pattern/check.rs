//! Whether a pattern makes sense.

use std::collections::BTreeSet;

use super::{Kind, Link, Pattern, Step};
use crate::{error::PatternError, skip::AfterMatchSkip};

impl<T> Pattern<T> {
    /// Tells what is wrong with the pattern, except for what turns out when it is written out.
    pub(crate) fn check(&self) -> Result<(), PatternError> {
        let mut names = Names::default();
        self.check_parts(&mut names)?;
        match &self.skip {
            AfterMatchSkip::ToFirst(name) | AfterMatchSkip::ToLast(name) if !names.matched.contains(&**name) => {
                return Err(PatternError::SkipTo(name.clone()));
            }
            _ => {}
        }
        if self.every_part_optional() {
            return Err(PatternError::Empty("the pattern".to_owned()));
        }
        match self.within.and_then(|within| self.longer_gap(within)) {
            Some(part) => Err(PatternError::LongGap(part)),
            None => Ok(()),
        }
    }

    fn check_parts<'a>(&'a self, names: &mut Names<'a>) -> Result<(), PatternError> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let mut before: Option<&Step<T>> = None;
        for step in &self.steps {
            match &step.kind {
                Kind::One { name, .. } => names.add(name, step.link.is_not())?,
                Kind::Group(group) => {
                    group.check_parts(names)?;
                    if group.skip != AfterMatchSkip::NoSkip {
                        return Err(PatternError::OfGroup("after_match"));
                    }
                    if group.every_part_optional() {
                        return Err(PatternError::Empty(step.shown()));
                    }
                }
            }
            if let Some(before) = before {
                if step.link.is_not() && before.optional {
                    return Err(PatternError::NotAfterOptional(step.shown()));
                }
                if step.optional && before.greedy {
                    return Err(PatternError::OptionalAfterGreedy(step.shown()));
                }
            }
            before = Some(step);
        }
        Ok(())
    }

    fn every_part_optional(&self) -> bool {
        self.steps.iter().filter(|step| matches!(step.link, Link::Next(_))).all(|step| step.optional)
    }

    /// The first part that has more time than `within`.
    fn longer_gap(&self, within: std::time::Duration) -> Option<String> {
        self.steps.iter().find_map(|step| match &step.kind {
            _ if step.within.is_some_and(|gap| gap > within) => Some(step.shown()),
            Kind::Group(group) => group.longer_gap(within),
            Kind::One { .. } => None,
        })
    }
}

#[derive(Default)]
struct Names<'a> {
    all: BTreeSet<&'a str>,
    /// Of those that are not `not`.
    matched: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str, not: bool) -> Result<(), PatternError> {
        if name.is_empty() {
            return Err(PatternError::NoName);
        }
        if !self.all.insert(name) {
            return Err(PatternError::DuplicateName(name.to_owned()));
        }
        if !not {
            self.matched.insert(name);
        }
        Ok(())
    }
}

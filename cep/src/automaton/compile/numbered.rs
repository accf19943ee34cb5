//! The parts of a pattern with their names and conditions numbered.

use std::{sync::Arc, time::Duration};

use super::{ConditionId, Greedy, SIZE_MAX};
use crate::{
    condition::Condition,
    error::PatternError,
    pattern::{Contiguity, Kind, Link, Step, Times},
};

/// A part of the pattern whose conditions have numbers, so that its repetitions share them.
pub(super) struct Numbered {
    pub link: Link,
    pub shown: String,
    pub name: u16,
    pub condition: ConditionId,
    pub until: Option<ConditionId>,
    pub within: Option<i64>,
    pub times: Times,
    /// It may come several times.
    pub repeats: bool,
    pub inner: Contiguity,
    pub optional: bool,
    pub greedy: bool,
    pub group: Option<Vec<Numbered>>,
}

impl Numbered {
    /// What it keeps from what comes next, if it is greedy.
    pub fn greed(&self) -> Option<Greedy> {
        let greedy = self.greedy && self.times.to != Some(self.times.from.max(1));
        greedy.then_some(Greedy { condition: self.condition, until: self.until })
    }
}

/// Names and conditions by their numbers.
pub(super) struct Numbers<T> {
    pub names: Vec<Arc<str>>,
    pub conditions: Vec<Condition<T>>,
}

impl<T: 'static> Numbers<T> {
    pub fn parts(&mut self, steps: &[Step<T>]) -> Result<Vec<Numbered>, PatternError> {
        steps.iter().map(|step| self.part(step)).collect()
    }

    fn part(&mut self, step: &Step<T>) -> Result<Numbered, PatternError> {
        let (mut name, mut condition, mut group) = (0, 0, None);
        match &step.kind {
            Kind::One { name: own, condition: test } => {
                condition = self.condition(test.clone().unwrap_or_else(Condition::always))?;
                if !step.link.is_not() {
                    name = u16::try_from(self.names.len()).map_err(|_| PatternError::TooLarge(SIZE_MAX))?;
                    self.names.push(own.clone());
                }
            }
            Kind::Group(pattern) => group = Some(self.parts(&pattern.steps)?),
        }
        Ok(Numbered {
            link: step.link,
            shown: step.shown(),
            name,
            condition,
            until: step.until.clone().map(|until| self.condition(until)).transpose()?,
            within: step.within.map(millis),
            times: step.times.unwrap_or(Times { from: 1, to: Some(1) }),
            repeats: step.times.is_some(),
            inner: step.inner.unwrap_or(Contiguity::Relaxed),
            optional: step.optional,
            greedy: step.greedy,
            group,
        })
    }

    fn condition(&mut self, condition: Condition<T>) -> Result<ConditionId, PatternError> {
        self.conditions.push(condition);
        number_of_last(self.conditions.len())
    }
}

/// The number of the last of so many.
pub(super) fn number_of_last(count: usize) -> Result<u32, PatternError> {
    let number = u32::try_from(count.saturating_sub(1)).ok().filter(|_| count <= SIZE_MAX);
    number.ok_or(PatternError::TooLarge(SIZE_MAX))
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

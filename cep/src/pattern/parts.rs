//! What a pattern consists of.

use std::{sync::Arc, time::Duration};

use super::Pattern;
use crate::{condition::Condition, error::PatternError};

/// How close together two events must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contiguity {
    /// Nothing between them.
    Strict,
    /// Nothing between them that could have been the second.
    Relaxed,
    /// Anything between them.
    Any,
}

/// How a part is joined to the part before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Next(Contiguity),
    NotNext,
    NotFollowedBy,
}

impl Link {
    pub fn is_not(self) -> bool {
        !matches!(self, Self::Next(_))
    }
}

pub(crate) enum Kind<T> {
    One { name: Arc<str>, condition: Option<Condition<T>> },
    Group(Pattern<T>),
}

/// A part of a pattern.
pub(crate) struct Step<T> {
    pub link: Link,
    pub kind: Kind<T>,
    /// How often it comes, if that was said.
    pub times: Option<Times>,
    pub optional: bool,
    pub greedy: bool,
    /// Between its own events, if it comes several times.
    pub inner: Option<Contiguity>,
    pub until: Option<Condition<T>>,
    /// Since the event before.
    pub within: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub from: u32,
    /// None is any number.
    pub to: Option<u32>,
}

impl<T> Step<T> {
    pub fn new(link: Link, kind: Kind<T>) -> Self {
        let (times, inner, until, within) = (None, None, None, None);
        Self { link, kind, times, optional: false, greedy: false, inner, until, within }
    }

    /// What it is called, for people.
    pub fn shown(&self) -> String {
        match &self.kind {
            Kind::One { name, .. } => format!("{name:?}"),
            Kind::Group(group) => match group.steps.first() {
                Some(first) => format!("the group that begins with {}", first.shown()),
                None => "a group".to_owned(),
            },
        }
    }

    /// Tells that `setting` is for parts that may come several times, unless this is one.
    pub fn repeated(&self, setting: &'static str) -> Result<(), PatternError> {
        match self.times {
            Some(_) => Ok(()),
            None => Err(PatternError::OfOne { part: self.shown(), setting }),
        }
    }
}

/// What can be a part of a pattern: the name of an event, or a group of parts.
pub struct Part<T>(Kind<T>);

impl<T> Part<T> {
    pub(crate) fn into_kind(self) -> Kind<T> {
        self.0
    }
}

impl<T> From<&str> for Part<T> {
    fn from(name: &str) -> Self {
        Self(Kind::One { name: name.into(), condition: None })
    }
}

impl<T> From<String> for Part<T> {
    fn from(name: String) -> Self {
        Self(Kind::One { name: name.into(), condition: None })
    }
}

impl<T> From<Pattern<T>> for Part<T> {
    fn from(group: Pattern<T>) -> Self {
        Self(Kind::Group(group))
    }
}

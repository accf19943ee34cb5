//! What is wrong with a pattern.

/// A pattern that makes no sense, or cannot be looked for. Parts are called by their quoted names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Events of a match are told apart by name.
    #[error("two parts of the pattern are named {0:?}; names must be unique")]
    DuplicateName(String),
    /// As above.
    #[error("a part of the pattern has an empty name")]
    NoName,
    /// It would match nothing at all, everywhere.
    #[error("every part is optional in {0}; at least one must not be")]
    Empty(String),
    /// Nobody could say when the match is complete.
    #[error("the pattern may end with {0}, which must not follow: `within` must say for how long")]
    EndlessNot(String),
    /// It would have to hold after several different events.
    #[error(
        "{0} must not come, but the part before it is optional: use two patterns, one with that part and one without"
    )]
    NotAfterOptional(String),
    /// What must not come does not come several times, or perhaps.
    #[error("`{setting}` does not apply to {part}, which must not come")]
    OfNot {
        /// The part.
        part: String,
        /// The method.
        setting: &'static str,
    },
    /// It has been said already.
    #[error("`{setting}` on {part} contradicts what was said before, or says it twice")]
    Twice {
        /// The part.
        part: String,
        /// The method.
        setting: &'static str,
    },
    /// A range of numbers that contains none.
    #[error("{part} cannot come {from} to {to} times: the second number must be at least 1, and the first no larger")]
    Times {
        /// The part.
        part: String,
        /// At least so often.
        from: u32,
        /// At most so often.
        to: u32,
    },
    /// It is about what is between the events of a part that comes several times.
    #[error("`{setting}` on {part} needs a part that may come several times: say how often first")]
    OfOne {
        /// The part.
        part: String,
        /// The method.
        setting: &'static str,
    },
    /// Others stop by themselves.
    #[error("`until` on {0} needs a part that may come any number of times, by `one_or_more` or `times_or_more`")]
    UntilOfBounded(String),
    /// Not for groups.
    #[error("`{0}` does not apply to groups, but to their parts or to the whole pattern")]
    OfGroup(&'static str),
    /// What is optional could be what the greedy part takes, too.
    #[error("what comes after a greedy part must not be optional, but {0} is")]
    OptionalAfterGreedy(String),
    /// No time at all.
    #[error("`{0}` needs a time of at least a millisecond")]
    NoTime(&'static str),
    /// A part is given more time than the whole.
    #[error("{0} has more time since the event before it than the whole match has")]
    LongGap(String),
    /// There is no such part.
    #[error("matches are to be skipped to {0:?}, but no part whose events are matched has that name")]
    SkipTo(String),
    /// Patterns are written out with their repetitions, so that there is a bound to how often parts come.
    #[error("written out with all repetitions the pattern has more than {0} places for events, or ways between them")]
    TooLarge(usize),
}

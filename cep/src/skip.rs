//! What a match means for others that share events with it.

/// Which matches are given up for one that was found.
///
/// All but [`NoSkip`](Self::NoSkip) look at matches in the order of the events that they begin with: a match is given when
/// nothing that began earlier can become one any more. Of those that begin with the same event the one that is complete
/// first comes first, and of those that are complete at once the one with the most events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AfterMatchSkip {
    /// None: every match there is is given, as soon as it is complete.
    #[default]
    NoSkip,
    /// Those that begin with the same event.
    ToNext,
    /// Those that begin no later than the match ends.
    PastLastEvent,
    /// Those that begin before the first event that the match has for this pattern. None if it has none.
    ToFirst(String),
    /// Those that begin before the last event that the match has for this pattern. None if it has none.
    ToLast(String),
}

/// With the name's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    No,
    ToNext,
    PastLastEvent,
    ToFirst(u16),
    ToLast(u16),
}

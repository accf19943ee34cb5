//! The queries by their names.

use std::{fmt, str::FromStr, time::Duration};

use flott::{Stream, WatermarkStrategy};
use thiserror::Error;

use crate::{
    event::Event,
    queries::{self, Row, q13::SideInput},
};

/// A query of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "their modules say what they ask")]
pub enum Query {
    Q0,
    Q1,
    Q2,
    Q3,
    Q4,
    Q5,
    Q6,
    Q7,
    Q8,
    Q9,
    Q10,
    Q11,
    Q12,
    Q13,
    Q14,
    Q15,
    Q16,
    Q17,
    Q18,
    Q19,
    Q20,
    Q21,
    Q22,
}

/// What becomes of the rows of an answer, whatever they are.
pub trait Take {
    /// What is left for the caller.
    type Out;

    /// Takes them.
    fn take<R: Row>(self, rows: &Stream<R>) -> Self::Out;
}

/// A name that no query has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no query {0:?}; they are q0 to q22")]
pub struct UnknownQuery(String);

impl Query {
    /// All, in order.
    pub const ALL: [Self; 23] = [
        Self::Q0,
        Self::Q1,
        Self::Q2,
        Self::Q3,
        Self::Q4,
        Self::Q5,
        Self::Q6,
        Self::Q7,
        Self::Q8,
        Self::Q9,
        Self::Q10,
        Self::Q11,
        Self::Q12,
        Self::Q13,
        Self::Q14,
        Self::Q15,
        Self::Q16,
        Self::Q17,
        Self::Q18,
        Self::Q19,
        Self::Q20,
        Self::Q21,
        Self::Q22,
    ];

    /// Whether it goes by event time.
    pub fn is_timed(self) -> bool {
        matches!(self, Self::Q4 | Self::Q5 | Self::Q6 | Self::Q7 | Self::Q8 | Self::Q9 | Self::Q11)
    }

    /// Plans it over `events`, of which each comes at most `out_of_order` behind the latest before it; has `take` take its
    /// rows.
    pub fn plan<T: Take>(self, events: &Stream<Event>, out_of_order: Duration, take: T) -> T::Out {
        let timed = self.is_timed().then(|| {
            let strategy = WatermarkStrategy::for_bounded_out_of_orderness(out_of_order);
            events.assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(Event::timestamp))
        });
        let events = timed.as_ref().unwrap_or(events);
        match self {
            Self::Q0 => take.take(&queries::q0::plan(events)),
            Self::Q1 => take.take(&queries::q1::plan(events)),
            Self::Q2 => take.take(&queries::q2::plan(events)),
            Self::Q3 => take.take(&queries::q3::plan(events)),
            Self::Q4 => take.take(&queries::q4::plan(events)),
            Self::Q5 => take.take(&queries::q5::plan(events)),
            Self::Q6 => take.take(&queries::q6::plan(events)),
            Self::Q7 => take.take(&queries::q7::plan(events)),
            Self::Q8 => take.take(&queries::q8::plan(events)),
            Self::Q9 => take.take(&queries::q9::plan(events)),
            Self::Q10 => take.take(&queries::q10::plan(events)),
            Self::Q11 => take.take(&queries::q11::plan(events)),
            Self::Q12 => take.take(&queries::q12::plan(events)),
            Self::Q13 => take.take(&queries::q13::plan(events, SideInput::numbers())),
            Self::Q14 => take.take(&queries::q14::plan(events)),
            Self::Q15 => take.take(&queries::q15::plan(events)),
            Self::Q16 => take.take(&queries::q16::plan(events)),
            Self::Q17 => take.take(&queries::q17::plan(events)),
            Self::Q18 => take.take(&queries::q18::plan(events)),
            Self::Q19 => take.take(&queries::q19::plan(events)),
            Self::Q20 => take.take(&queries::q20::plan(events)),
            Self::Q21 => take.take(&queries::q21::plan(events)),
            Self::Q22 => take.take(&queries::q22::plan(events)),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q{}", *self as u8)
    }
}

impl FromStr for Query {
    type Err = UnknownQuery;

    fn from_str(name: &str) -> Result<Self, UnknownQuery> {
        let found = Self::ALL.into_iter().find(|query| query.to_string().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownQuery(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (number, query) in Query::ALL.into_iter().enumerate() {
            assert_eq!(query.to_string(), format!("q{number}"));
            assert_eq!(query.to_string().parse(), Ok(query));
        }
        assert_eq!("Q7".parse(), Ok(Query::Q7));
        assert_eq!("q23".parse::<Query>().unwrap_err().to_string(), r#"there is no query "q23"; they are q0 to q22"#);
    }
}

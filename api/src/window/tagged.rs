//! A record of one of two streams.

use serde::{Deserialize, Serialize};

/// A record of one of two streams that are joined: what assigners, triggers and evictors of their windows see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaggedUnion<A, B> {
    /// Of the first stream.
    Left(A),
    /// Of the second stream.
    Right(B),
}

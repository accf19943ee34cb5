//! Identities, epochs and indices. Each is a type of its own, so that two of them are never swapped.
//!
//! 16-byte ids are written as 32 lower-case hex digits for people and JSON, and as raw bytes in the binary codec.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An id was not 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {digits} hex digits, not {given:?}")]
pub struct IdError {
    kind: &'static str,
    digits: usize,
    given: String,
}

fn parse_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let refused = || IdError { kind, digits: N * 2, given: text.chars().take(80).collect() };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(refused());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| (digit as char).to_digit(16).ok_or_else(refused);
        *byte = (nibble(pair[0])? << 4 | nibble(pair[1])?) as u8;
    }
    Ok(bytes)
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// From raw bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex($kind, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <[u8; $bytes]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

macro_rules! random_id {
    ($($name:ident),*) => {$(
        impl $name {
            /// A fresh random id. Pure components do not call this: they are given ids, or an [`IdSequence`].
            pub fn random() -> Self {
                Self(random_bytes())
            }
        }
    )*};
}

byte_id! {
    /// A job. Chosen by whoever plans it; the same submission sent twice is the same job.
    JobId, 16, "a job id"
}
byte_id! {
    /// A vertex of a job graph: a chain of operators.
    VertexId, 16, "a vertex id"
}
byte_id! {
    /// An operator, from the user's `uid` or else from the structure of the program.
    OperatorId, 16, "an operator id"
}
byte_id! {
    /// A slot given to a job; a new one each time a slot changes hands.
    AllocationId, 16, "an allocation id"
}
byte_id! {
    /// One life of a TaskManager process. A restarted TaskManager keeps its [`WorkerId`] and gets a new one of these.
    InstanceId, 16, "an instance id"
}
byte_id! {
    /// One life of a job process.
    ProcessId, 16, "a process id"
}
byte_id! {
    /// Shared by the processes of one job; proves on a data connection that the peer belongs to it.
    JobSecret, 16, "a job secret"
}
byte_id! {
    /// BLAKE3 of a blob's content; its name in every blob store.
    Digest, 32, "a digest"
}
byte_id! {
    /// What a plan hashes to; equal plans have equal fingerprints.
    Fingerprint, 16, "a plan fingerprint"
}
byte_id! {
    /// A snapshot that was asked for, or the removal of one. Chosen by whoever asks; the same request sent twice is one.
    TriggerId, 16, "a trigger id"
}

random_id!(JobId, AllocationId, InstanceId, ProcessId, JobSecret, TriggerId);

impl Digest {
    /// Digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

fn truncated_hash(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

impl OperatorId {
    /// The id of an operator that the user gave a uid: the same in every version of the program.
    pub fn from_uid(uid: &str) -> Self {
        Self(truncated_hash("flott operator uid 1", &[uid.as_bytes()]))
    }

    /// The id of an operator without a uid, from parts that describe its place in the program.
    pub fn from_structure(parts: &[&[u8]]) -> Self {
        Self(truncated_hash("flott operator structure 1", parts))
    }
}

impl VertexId {
    /// A vertex has the identity of the first operator of its chain.
    pub fn of_chain(head: OperatorId) -> Self {
        Self(head.0)
    }
}

impl Fingerprint {
    /// Fingerprint of a plan written as bytes.
    pub fn of(plan: &[u8]) -> Self {
        Self(truncated_hash("flott plan fingerprint 1", &[plan]))
    }
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

/// Ids in a repeatable order, for components that must not draw random numbers.
#[derive(Debug, Clone)]
pub struct IdSequence {
    seed: u64,
    drawn: u64,
}

impl IdSequence {
    /// Two sequences of the same seed give the same ids; a service seeds its own with [`IdSequence::random_seed`].
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A seed that no other process has.
    pub fn random_seed() -> u64 {
        u64::from_le_bytes(random_bytes())
    }

    /// The next allocation id.
    pub fn next_allocation(&mut self) -> AllocationId {
        self.drawn += 1;
        AllocationId(truncated_hash("flott id sequence 1", &[&self.seed.to_le_bytes(), &self.drawn.to_le_bytes()]))
    }
}

/// A TaskManager by name, as in Flink's resource id: stable over reconnects, unique in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The one after this.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    )*};
}

number_id! {
    /// One leadership of a JobManager (Dispatcher and ResourceManager). Grows with every start on the same store.
    LeaderEpoch(u64);
    /// One JobMaster of a job. Grows with every JobMaster started for it; older ones are refused.
    JobMasterEpoch(u64);
    /// The place of a message in all that one end of a session has said, from 1; also how far an end has heard, from 0.
    MessageNumber(u64);
    /// A checkpoint of a job, from 1.
    CheckpointId(u64);
    /// A slot of a TaskManager, from 0.
    SlotIndex(u32);
    /// A subtask of a vertex, from 0.
    SubtaskIndex(u32);
    /// A try at running a subtask, from 0.
    AttemptNumber(u32);
    /// An edge by its place in the job graph.
    EdgeIndex(u32);
}

/// One try at one subtask: the unit that is deployed, reports, and is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The vertex.
    pub vertex: VertexId,
    /// Which of its subtasks.
    pub subtask: SubtaskIndex,
    /// Which try.
    pub attempt: AttemptNumber,
}

impl fmt::Display for AttemptId {
    /// `<vertex>_<subtask>_<attempt>`, as Flink writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.vertex, self.subtask, self.attempt)
    }
}

/// A TaskManager in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerKey {
    /// Its name.
    pub worker: WorkerId,
    /// Which life of it.
    pub instance: InstanceId,
}

impl fmt::Display for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.worker.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_for_people() {
        let id: JobId = "00ff00000000000000000000000000Ab".parse().unwrap();
        assert_eq!(id.to_string(), "00ff00000000000000000000000000ab");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00ff00000000000000000000000000ab\"");
        assert_eq!(serde_json::from_str::<JobId>("\"00ff00000000000000000000000000ab\"").unwrap(), id);
    }

    #[test]
    fn other_text_is_refused_by_name() {
        let error = "nothex".parse::<JobId>().unwrap_err();
        assert_eq!(error.to_string(), "a job id must be 32 hex digits, not \"nothex\"");
        assert!("zz".repeat(16).parse::<JobId>().is_err());
        assert!("é".repeat(16).parse::<JobId>().is_err());
    }

    #[test]
    fn sequences_repeat_and_do_not_collide() {
        let (mut a, mut b) = (IdSequence::new(7), IdSequence::new(7));
        let first: Vec<_> = (0..100).map(|_| a.next_allocation()).collect();
        assert_eq!(first, (0..100).map(|_| b.next_allocation()).collect::<Vec<_>>());
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 100);
    }
}

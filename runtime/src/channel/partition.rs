//! Which channel a record goes to. One virtual call per batch; the loop over records is typed.

use flott_core::{
    failure::Failure,
    key_group::{Router, stable_hash},
};

use crate::{batch::Key, error::TaskResult};

/// Puts the channel of each record into `targets`, in order.
pub(super) trait Route<T>: Send {
    fn route(&mut self, records: &[T], channels: u32, targets: &mut Vec<u32>) -> TaskResult;
}

/// How the records of an edge are spread over its channels.
pub struct Partitioner<T>(pub(super) Kind<T>);

pub(super) enum Kind<T> {
    /// All to the first channel.
    Single,
    /// Every record to every channel.
    Broadcast,
    /// By a rule that has no choice with one channel.
    Rule(Box<dyn Route<T>>),
    /// By a rule of the user's, which is asked in any case.
    Custom(Box<dyn Route<T>>),
    /// By key; the rule is made when key groups are known.
    Hash(MakeRoute<T>),
}

pub(super) type MakeRoute<T> = Box<dyn FnOnce(Router) -> Box<dyn Route<T>> + Send>;

impl<T: 'static> Partitioner<T> {
    /// Everything to the first channel: forward edges, which have one, and global ones.
    pub fn single() -> Self {
        Self(Kind::Single)
    }

    /// One record to each channel in turn: rebalance and rescale.
    pub fn round_robin() -> Self {
        Self(Kind::Rule(Box::new(RoundRobin { next: 0 })))
    }

    /// Each record to a channel drawn at random. The draws are the same in every run.
    pub fn random() -> Self {
        Self(Kind::Rule(Box::new(Random { state: 0x9E37_79B9_7F4A_7C15 })))
    }

    /// Every record to every channel.
    pub fn broadcast() -> Self {
        Self(Kind::Broadcast)
    }

    /// By the key group of the record's key.
    pub fn hash<K: Key>(key: impl Fn(&T) -> K + Send + 'static) -> Self {
        Self(Kind::Hash(Box::new(move |router| Box::new(ByKey { key, router }))))
    }

    /// By the user's function of record and number of channels. An answer that is no channel fails the task.
    pub fn custom(choose: impl FnMut(&T, u32) -> u32 + Send + 'static) -> Self {
        Self(Kind::Custom(Box::new(Custom { choose })))
    }
}

struct RoundRobin {
    next: u32,
}

impl<T> Route<T> for RoundRobin {
    fn route(&mut self, records: &[T], channels: u32, targets: &mut Vec<u32>) -> TaskResult {
        targets.extend(records.iter().map(|_| {
            let target = self.next;
            self.next = if target + 1 >= channels { 0 } else { target + 1 };
            target
        }));
        Ok(())
    }
}

struct Random {
    state: u64,
}

impl<T> Route<T> for Random {
    fn route(&mut self, records: &[T], channels: u32, targets: &mut Vec<u32>) -> TaskResult {
        targets.extend(records.iter().map(|_| {
            // xorshift64*; the high bits, scaled to the number of channels.
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            let draw = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
            ((draw * u64::from(channels)) >> 32) as u32
        }));
        Ok(())
    }
}

struct ByKey<F> {
    key: F,
    router: Router,
}

impl<T, K: Key, F: Fn(&T) -> K + Send> Route<T> for ByKey<F> {
    fn route(&mut self, records: &[T], _channels: u32, targets: &mut Vec<u32>) -> TaskResult {
        targets.extend(records.iter().map(|record| self.router.route(stable_hash(&(self.key)(record))) as u32));
        Ok(())
    }
}

struct Custom<F> {
    choose: F,
}

impl<T, F: FnMut(&T, u32) -> u32 + Send> Route<T> for Custom<F> {
    fn route(&mut self, records: &[T], channels: u32, targets: &mut Vec<u32>) -> TaskResult {
        for record in records {
            let target = (self.choose)(record, channels);
            if target >= channels {
                let message =
                    format!("the custom partitioner chose channel {target}, but there are {channels}, from 0");
                return Err(Box::new(Failure::user(message).fatal()));
            }
            targets.push(target);
        }
        Ok(())
    }
}

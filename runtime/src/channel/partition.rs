//! Which channel a record goes to. One virtual call per batch; the loop over records is typed.

use std::{marker::PhantomData, mem};

use flott_core::{failure::Failure, key_group::Router};

use crate::{batch::Key, error::TaskResult, state::KeyHash};

/// Where the records of a batch go, in order.
#[derive(Default)]
pub(super) struct Routes {
    /// The channel of each.
    pub targets: Vec<u32>,
    /// The hash of each key, where it is worth being carried along; else nothing.
    pub hashes: Vec<KeyHash>,
}

impl Routes {
    /// Forgets them.
    pub fn clear(&mut self) {
        self.targets.clear();
        self.hashes.clear();
    }
}

/// Says where each record of a batch goes.
pub(super) trait Route<T>: Send {
    /// Puts it into the empty `routes`.
    fn route(&mut self, records: &[T], channels: u32, routes: &mut Routes) -> TaskResult;
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

    /// By the key group of the key that `key` makes of a record.
    pub fn hash<K: Key>(key: impl Fn(&T) -> K + Send + 'static) -> Self {
        Self::hashed::<K>(move |record| KeyHash::of(&key(record)))
    }

    /// By the key group of the key that `key` finds in a record.
    pub fn hash_ref<K: Key>(key: impl Fn(&T) -> &K + Send + 'static) -> Self {
        Self::hashed::<K>(move |record| KeyHash::of(key(record)))
    }

    fn hashed<K: 'static>(hash: impl Fn(&T) -> KeyHash + Send + 'static) -> Self {
        Self(Kind::Hash(Box::new(move |router| Box::new(ByKey { hash, router, key: PhantomData::<fn(K)> }))))
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
    fn route(&mut self, records: &[T], channels: u32, routes: &mut Routes) -> TaskResult {
        routes.targets.extend(records.iter().map(|_| {
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
    fn route(&mut self, records: &[T], channels: u32, routes: &mut Routes) -> TaskResult {
        routes.targets.extend(records.iter().map(|_| {
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

struct ByKey<K, F> {
    hash: F,
    router: Router,
    key: PhantomData<fn(K)>,
}

impl<K, F> ByKey<K, F> {
    /// Keys that own memory are of any length, and slow to hash. The hash of a number or two is worked out again sooner
    /// than it is written and read.
    const CARRIES: bool = mem::needs_drop::<K>();
}

impl<T, K, F: Fn(&T) -> KeyHash + Send> Route<T> for ByKey<K, F> {
    fn route(&mut self, records: &[T], _channels: u32, routes: &mut Routes) -> TaskResult {
        let Routes { targets, hashes } = routes;
        if Self::CARRIES {
            hashes.extend(records.iter().map(|record| (self.hash)(record)));
            targets.extend(hashes.iter().map(|hash| self.router.route(hash.stable()) as u32));
        } else {
            targets.extend(records.iter().map(|record| self.router.route((self.hash)(record).stable()) as u32));
        }
        Ok(())
    }
}

struct Custom<F> {
    choose: F,
}

impl<T, F: FnMut(&T, u32) -> u32 + Send> Route<T> for Custom<F> {
    fn route(&mut self, records: &[T], channels: u32, routes: &mut Routes) -> TaskResult {
        for record in records {
            let target = (self.choose)(record, channels);
            if target >= channels {
                let message =
                    format!("the custom partitioner chose channel {target}, but there are {channels}, from 0");
                return Err(Box::new(Failure::user(message).fatal()));
            }
            routes.targets.push(target);
        }
        Ok(())
    }
}

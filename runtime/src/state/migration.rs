//! What states held that are of another type now.
//!
//! The schema beside the entries in a snapshot tells which type they had. A migration reads them as that, and gives the
//! entries that this program would have stored, before any table takes them: whatever backend the state is in.

use std::{any::TypeId, sync::Arc};

use flott_core::{codec::CodecError, failure::Failure};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    entries,
    entry_map::EntryMap,
    expiring::{Expiring, ExpiringList, ExpiringMap},
    schema::{self, StoredSchema},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// Gives the entries of today for so many entries of then.
type Transcode = dyn Fn(usize, &[u8]) -> TaskResult<Vec<u8>> + Send;

/// Entries of one type of then, as those of one of today.
struct Form {
    /// What a table holds per key today.
    now: TypeId,
    /// What its entries looked like.
    then: StoredSchema,
    transcode: Box<Transcode>,
}

impl Form {
    fn new<K, Then, Now>(make: impl Fn(Then) -> Now + Send + 'static) -> Self
    where
        K: Key,
        Then: DeserializeOwned + 'static,
        Now: Serialize + 'static,
    {
        let transcode = move |count, bytes: &[u8]| {
            let (mut now, mut failed) = (Vec::new(), None);
            entries::decode(count, bytes, |(key, then): (K, Then)| {
                if failed.is_none() {
                    failed = entries::encode(&(key, make(then)), &mut now).err();
                }
            })?;
            failed.map_or(Ok(now), |error| Err(unwritable(&error)))
        };
        Self { now: TypeId::of::<Now>(), then: schema::keyed::<K, Then>(), transcode: Box::new(transcode) }
    }
}

#[cold]
fn unwritable(error: &CodecError) -> Box<Failure> {
    Box::new(Failure::user("what a migration made of keyed state cannot be encoded").caused_by(error))
}

/// The migrations that a state has declared.
#[derive(Default)]
pub(super) struct Migrations(Vec<Form>);

impl Migrations {
    /// Of values, accumulators, and elements of lists.
    pub fn of_values<K: Key, Then: Data, Now: Data>(&mut self, migrate: impl Fn(Then) -> Now + Send + Sync + 'static) {
        let migrate = Arc::new(migrate);
        let one = Arc::clone(&migrate);
        self.0.push(Form::new::<K, Then, Now>(move |then| one(then)));
        let one = Arc::clone(&migrate);
        self.0.push(Form::new::<K, Expiring<Then>, Expiring<Now>>(move |then| then.map(&*one)));
        let one = Arc::clone(&migrate);
        self.0.push(Form::new::<K, Vec<Then>, Vec<Now>>(move |then| then.into_iter().map(&*one).collect()));
        self.0.push(Form::new::<K, ExpiringList<Then>, ExpiringList<Now>>(move |then| then.map(&*migrate)));
    }

    /// Of entries of maps.
    pub fn of_entries<K, ThenKey, Then, NowKey, Now>(
        &mut self,
        migrate: impl Fn(ThenKey, Then) -> (NowKey, Now) + Send + Sync + 'static,
    ) where
        K: Key,
        ThenKey: Key,
        Then: Data,
        NowKey: Key,
        Now: Data,
    {
        let migrate = Arc::new(migrate);
        let one = Arc::clone(&migrate);
        let plain = move |then: EntryMap<ThenKey, Then>| {
            let mut now = EntryMap::default();
            for (key, value) in then.into_entries() {
                let (key, value) = one(key, value);
                now.insert(&key, value);
            }
            now
        };
        self.0.push(Form::new::<K, EntryMap<ThenKey, Then>, EntryMap<NowKey, Now>>(plain));
        let expiring = move |then: ExpiringMap<ThenKey, Then>| then.map(&*migrate);
        self.0.push(Form::new::<K, ExpiringMap<ThenKey, Then>, ExpiringMap<NowKey, Now>>(expiring));
    }

    /// How entries that looked like `stored` become those of a table of `held`, which look like `now`; nothing where they are such
    /// entries, or none was declared for them.
    pub fn find(&self, held: TypeId, stored: &StoredSchema, now: &StoredSchema) -> Option<&Transcode> {
        if stored == now || !schema::is_known(stored) {
            return None;
        }
        let mut forms = self.0.iter().filter(|form| form.now == held);
        // The very types first. What can be read as it is needs none; whether it can is not known of types that are not.
        let same = forms.clone().find(|form| form.then == *stored);
        let fits = |form: &&Form| schema::is_known(&form.then) && schema::difference(stored, &form.then).is_none();
        let needed = || !schema::is_known(now) || schema::difference(stored, now).is_some();
        let form = same.or_else(|| forms.find(fits).filter(|_| needed()))?;
        Some(&*form.transcode)
    }
}

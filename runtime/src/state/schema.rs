//! What entries look like, beside them in snapshots.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use flott_core::{
    failure::Failure,
    schema::{EntrySchema, Schema},
};
use serde::de::DeserializeOwned;

use crate::error::TaskResult;

/// The schema of the entries of a state, as it is stored. Nothing where nothing is known.
pub type StoredSchema = Option<Arc<str>>;

/// By the types of keys and values. A schema is found by reading made-up values, which is worth doing once.
static KNOWN: Mutex<Option<HashMap<(TypeId, TypeId), StoredSchema>>> = Mutex::new(None);

/// Of a table.
pub(crate) fn keyed<K: DeserializeOwned + 'static, V: DeserializeOwned + 'static>() -> StoredSchema {
    known::<K, V>(EntrySchema::keyed::<K, V>)
}

/// Of elements.
pub(crate) fn elements<V: DeserializeOwned + 'static>() -> StoredSchema {
    known::<NoKey, V>(EntrySchema::elements::<V>)
}

/// What stands for the keys of elements.
enum NoKey {}

fn known<K: 'static, V: 'static>(find: impl FnOnce() -> EntrySchema) -> StoredSchema {
    let types = (TypeId::of::<K>(), TypeId::of::<V>());
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = lock().get_or_insert_default().get(&types) {
        return found.clone();
    }
    // User code runs without the lock.
    let stored: StoredSchema = find().to_text().map(Into::into);
    lock().get_or_insert_default().insert(types, stored.clone());
    stored
}

/// Whether what was stored with one schema can be read by types of another; `what` is the state.
pub(crate) fn accept(what: &str, stored: &StoredSchema, now: &StoredSchema) -> TaskResult {
    match difference(stored, now) {
        None => Ok(()),
        Some(difference) => {
            let message = format!(
                "{what} cannot be taken up by this program: {difference}. Give the state another name to begin it anew, or start \
                 with the program that wrote it"
            );
            Err(Box::new(Failure::user(message).fatal()))
        }
    }
}

/// Whether it says what entries look like.
pub(crate) fn is_known(schema: &StoredSchema) -> bool {
    let read = schema.as_ref().and_then(|text| EntrySchema::from_text(text));
    read.is_some_and(|schema| schema.value != Schema::Unknown)
}

/// Why what was stored with one schema cannot be read by types of another, if it cannot.
pub(crate) fn difference(stored: &StoredSchema, now: &StoredSchema) -> Option<String> {
    let (stored, now) = stored.as_ref().zip(now.as_ref()).filter(|(stored, now)| stored != now)?;
    // A later version may say more than this one understands; then the bytes have to speak for themselves.
    let (stored, now) = EntrySchema::from_text(stored).zip(EntrySchema::from_text(now))?;
    stored.accept(&now).err().map(|difference| difference.to_string())
}

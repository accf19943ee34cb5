//! The model: what has expired is forgotten before every access, and all that is left is plain maps.

use std::collections::BTreeSet;

use super::*;

/// Something, and when it was last used.
type Used<T> = (T, Timestamp);

#[derive(Clone, Default)]
pub(super) struct Model {
    pub now: Timestamp,
    /// How long things live, and whether reading counts as a use.
    ttl: Option<(i64, bool)>,
    values: BTreeMap<u8, Used<u32>>,
    lists: BTreeMap<u8, Vec<Used<u32>>>,
    maps: BTreeMap<u8, BTreeMap<u8, Used<u32>>>,
    reductions: BTreeMap<u8, Used<u64>>,
    gathered: BTreeMap<u8, Used<Vec<u32>>>,
    /// Times in event time, and keys.
    pub timers: BTreeSet<(i64, u8)>,
}

impl Model {
    pub fn new(ttl: Option<(i64, bool)>) -> Self {
        Self { ttl, ..Self::default() }
    }

    fn forget_expired(&mut self) {
        let Some((ttl, _)) = self.ttl else { return };
        let now = self.now;
        let alive = |used: &Timestamp| used + ttl > now;
        self.values.retain(|_, (_, used)| alive(used));
        self.lists.values_mut().for_each(|list| list.retain(|(_, used)| alive(used)));
        self.maps.values_mut().for_each(|map| map.retain(|_, (_, used)| alive(used)));
        self.reductions.retain(|_, (_, used)| alive(used));
        self.gathered.retain(|_, (_, used)| alive(used));
    }

    /// What the access gives, in words.
    pub fn access(&mut self, key: u8, access: Access) -> String {
        self.forget_expired();
        let (now, reads) = (self.now, self.ttl.is_some_and(|(_, reads)| reads));
        let read = |used: &mut Timestamp| {
            if reads {
                *used = now;
            }
        };
        let list = self.lists.entry(key).or_default();
        let map = self.maps.entry(key).or_default();
        match access {
            Access::VGet => {
                let value = self.values.get_mut(&key).map(|(value, used)| {
                    read(used);
                    value
                });
                format!("{value:?}")
            }
            Access::VSet(n) => {
                self.values.insert(key, (n, now));
                "()".to_owned()
            }
            Access::VUpdate(n) => {
                let value = self.values.get_mut(&key).map(|value| *value = (value.0 + n, now));
                format!("{:?}", value.is_some())
            }
            Access::VCreate(n) => {
                let value = self.values.entry(key).or_insert((n, now));
                *value = (value.0 + 1, now);
                format!("{:?}", value.0)
            }
            Access::VTake => format!("{:?}", self.values.remove(&key).map(|(value, _)| value)),
            Access::LGet => {
                list.iter_mut().for_each(|(_, used)| read(used));
                format!("{:?}", list.iter().map(|(n, _)| n).collect::<Vec<_>>())
            }
            Access::LAdd(n) => {
                list.push((n, now));
                "()".to_owned()
            }
            Access::LAddAll(all) => {
                list.extend(all.into_iter().map(|n| (n, now)));
                "()".to_owned()
            }
            Access::LSet(all) => {
                *list = all.into_iter().map(|n| (n, now)).collect();
                "()".to_owned()
            }
            Access::LTake => format!("{:?}", list.drain(..).map(|(n, _)| n).collect::<Vec<_>>()),
            Access::MGet(entry) => {
                let value = map.get_mut(&entry).map(|(value, used)| {
                    read(used);
                    value
                });
                format!("{value:?}")
            }
            Access::MContains(entry) => {
                let value = map.get_mut(&entry).map(|(_, used)| read(used));
                format!("{:?}", value.is_some())
            }
            Access::MInsert(entry, n) => {
                map.insert(entry, (n, now));
                "()".to_owned()
            }
            Access::MInsertAll(all) => {
                map.extend(all.into_iter().map(|(entry, n)| (entry, (n, now))));
                "()".to_owned()
            }
            Access::MCreate(entry, n) => {
                let value = map.entry(entry).or_insert((n, now));
                *value = (value.0 + 1, now);
                format!("{:?}", value.0)
            }
            Access::MUpdate(entry, n) => {
                let value = map.get_mut(&entry).map(|value| *value = (value.0 + n, now));
                format!("{:?}", value.is_some())
            }
            Access::MRemove(entry) => format!("{:?}", map.remove(&entry).map(|(value, _)| value)),
            Access::MRetain(n) => {
                map.retain(|_, (value, _)| *value % 3 != n % 3);
                "()".to_owned()
            }
            Access::MEntries => {
                map.values_mut().for_each(|(_, used)| read(used));
                format!("{:?}", map.iter().map(|(entry, (value, _))| (entry, value)).collect::<BTreeMap<_, _>>())
            }
            Access::MLen => format!("{:?}", (map.len(), map.is_empty())),
            Access::RGet => {
                let value = self.reductions.get_mut(&key).map(|(value, used)| {
                    read(used);
                    value
                });
                format!("{value:?}")
            }
            Access::RAdd(n) => {
                let item = (u64::from(n), now);
                self.reductions
                    .entry(key)
                    .and_modify(|value| {
                        reduce(&mut value.0, item.0);
                        value.1 = now;
                    })
                    .or_insert(item);
                "()".to_owned()
            }
            Access::RTake => format!("{:?}", self.reductions.remove(&key).map(|(value, _)| value)),
            Access::AGet => {
                let result = self.gathered.get_mut(&key).map(|(all, used)| {
                    read(used);
                    format!("{all:?}")
                });
                format!("{result:?}")
            }
            Access::AAdd(n) => self.gather(key, &[n]),
            Access::AMerge(n) => self.gather(key, &[n, n]),
            Access::ATake => format!("{:?}", self.gathered.remove(&key).map(|(all, _)| all)),
            Access::Clear(kind) => {
                match kind {
                    0 => drop(self.values.remove(&key)),
                    1 => list.clear(),
                    2 => map.clear(),
                    3 => drop(self.reductions.remove(&key)),
                    _ => drop(self.gathered.remove(&key)),
                }
                "()".to_owned()
            }
        }
    }

    fn gather(&mut self, key: u8, numbers: &[u32]) -> String {
        let (all, used) = self.gathered.entry(key).or_default();
        all.extend(numbers);
        *used = self.now;
        "()".to_owned()
    }
}

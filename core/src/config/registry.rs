use std::{collections::BTreeMap, sync::LazyLock};

use super::{
    accepted::WITHOUT_EFFECT,
    keys::{MAPS, SECTIONS},
    option::Declaration,
};

/// A declaration, and by which of its names it was found.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub declaration: &'static Declaration,
    pub by: NameKind,
}

/// Which name of a key a name is. The order is that of strength within one source of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameKind {
    Deprecated,
    Fallback,
    Key,
}

static BY_NAME: LazyLock<BTreeMap<&'static str, Found>> = LazyLock::new(|| {
    let mut by_name = BTreeMap::new();
    for declaration in declarations() {
        for (name, by) in names(declaration) {
            by_name.insert(name, Found { declaration, by });
        }
    }
    by_name
});

/// Every declared key.
pub(super) fn declarations() -> impl Iterator<Item = &'static Declaration> {
    SECTIONS.iter().flat_map(|section| section.options.iter().copied())
}

/// All names of a key.
pub(super) fn names(declaration: &'static Declaration) -> impl Iterator<Item = (&'static str, NameKind)> {
    std::iter::once((declaration.key, NameKind::Key))
        .chain(declaration.fallback_keys.iter().map(|&name| (name, NameKind::Fallback)))
        .chain(declaration.deprecated_keys.iter().map(|&name| (name, NameKind::Deprecated)))
}

/// The declaration with this name, be it the key, a fallback or an old name.
pub(super) fn find(name: &str) -> Option<Found> {
    BY_NAME.get(name).copied()
}

/// How strong a name is among the names of its key.
pub(super) fn strength(name: &str) -> NameKind {
    find(name).map_or(NameKind::Key, |found| found.by)
}

/// Whether a name belongs to a map of free keys.
pub(super) fn is_map_entry(name: &str) -> bool {
    MAPS.iter().any(|map| map.entry_of(name).is_some())
}

/// Whether known keys begin with `name` and a dot: then it is a place in the file, not a setting.
pub(super) fn is_section(name: &str) -> bool {
    let below = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    BY_NAME.keys().any(|key| below(key))
        || MAPS.iter().any(|map| map.prefix == name || below(map.prefix))
        || WITHOUT_EFFECT.iter().any(|entry| below(entry.pattern))
}

/// The known key that `name` is most like, if it is close enough to be a slip of the pen.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, BY_NAME.iter().filter(|(_, found)| found.by != NameKind::Deprecated).map(|(&key, _)| key))
}

/// The closest of `known` to `name`, within a distance that grows with the length of `name`; capitals do not count.
pub fn nearest_of<K: AsRef<str>>(name: &str, known: impl Iterator<Item = K>) -> Option<K> {
    const NAME_CHARS_MAX: usize = 100;
    let name: Vec<char> = name.to_lowercase().chars().collect();
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    let allowed = (name.len() / 5).clamp(1, 4);
    known
        .map(|key| (distance(&name, key.as_ref()), key))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(left: &[char], right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut before = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(l != r)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left[i - 1] == *r && *l == right[j - 1] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{accepted, environment};

    #[test]
    fn every_name_is_declared_once() {
        let mut seen = BTreeSet::new();
        for (name, _) in declarations().flat_map(names) {
            assert!(seen.insert(name), "{name} is declared twice");
            assert!(!is_map_entry(name), "{name} lies in a map");
            assert_eq!(accepted::without_effect(name), None, "{name} is said to have no effect");
            assert_eq!(accepted::refused(name), None, "{name} is refused");
        }
    }

    #[test]
    fn every_declaration_is_whole() {
        for declaration in declarations() {
            let key = declaration.key;
            assert!(declaration.doc.trim().len() > 20, "{key} has no doc");
            // Flink's one key without a dot has a variable that is none of Flott's own.
            let has_variable = key.contains('.') || key == "scheduler-mode";
            assert!(has_variable, "{key} has no dot, so its environment variable could not be told from others");
            if let Some(default) = declaration.default {
                assert_eq!((declaration.check)(declaration, default), Ok(()), "default of {key}");
            }
            for bound in declaration.range.iter().flat_map(|(min, max)| [min, max]) {
                assert_eq!((declaration.check)(declaration, bound), Ok(()), "bound {bound} of {key}");
            }
        }
    }

    #[test]
    fn environment_variables_are_distinct() {
        let mut seen = BTreeSet::new();
        for declaration in declarations() {
            let variable = environment::variable_of(declaration.key);
            assert!(seen.insert(variable.clone()), "{variable} stands for two keys");
        }
    }

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(nearest(name), expected, "{name}");
    }

    #[test]
    fn slips_of_the_pen_find_their_key() {
        check("taskmanger.memory.process.size", Some("taskmanager.memory.process.size"));
        check("rest.prot", Some("rest.port"));
        check("taskmanager.numberoftaskslots", Some("taskmanager.numberOfTaskSlots"));
        check("Parallelism.Default", Some("parallelism.default"));
        check("something.else.entirely", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }

    #[test]
    fn places_in_the_file_are_told_from_settings() {
        assert!(is_section("taskmanager.memory") && is_section("pipeline") && is_section("env.java"));
        assert!(!is_section("rest.port") && !is_section("taskman") && !is_section(""));
    }
}

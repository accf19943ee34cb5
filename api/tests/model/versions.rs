//! What a temporal join is, by definition.

/// Of versions with a key, a time and a number, the number of the last that is not after `at`.
pub fn valid<K: PartialEq, N: Copy + Ord>(versions: &[(K, i64, N)], key: &K, at: i64) -> Option<N> {
    let of_key = versions.iter().filter(|version| version.0 == *key && version.1 <= at);
    of_key.max_by_key(|version| (version.1, version.2)).map(|version| version.2)
}

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    accepted,
    error::{ConfigError, Origin, shortened},
    keys::{
        MAPS,
        checkpointing::{self, CheckpointingMode},
        cluster, restart,
    },
    option::{ConfigMap, ConfigOption, read},
    registry,
    secret::{MASK, is_secret},
    value::ConfigValue,
};
use crate::units::DurationText;

/// Most settings in a configuration.
pub(super) const ENTRIES_MAX: usize = 4096;
/// Most bytes of a key or a value.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Checked settings: known keys under their proper names, with values that fit. What is not set has its default.
///
/// Written as a map of texts with the secrets in it, and read back with the same checks as every other source. Debug
/// output and [`shown`](Self::shown) mask the secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Configuration {
    entries: BTreeMap<String, String>,
}

impl Configuration {
    /// The value of a key: the one set, else the default.
    pub fn get<T: ConfigValue>(&self, option: &'static ConfigOption<T>) -> T {
        let declaration = option.declaration();
        let set = self.entries.get(declaration.key).map(String::as_str);
        // Every entry was checked by the same function when it was set, and a test of the registry checks the defaults.
        match set.or(declaration.default) {
            Some(text) => read(declaration, text)
                .unwrap_or_else(|reason| unreachable!("unchecked value of {:?} is {reason}", declaration.key)),
            None => T::absent().unwrap_or_else(|| unreachable!("{:?} has no default", declaration.key)),
        }
    }

    /// Whether a key is set here.
    pub fn is_set<T: ConfigValue>(&self, option: &'static ConfigOption<T>) -> bool {
        self.entries.contains_key(option.key())
    }

    /// The keys of a map that are set here, without the prefix.
    pub fn map(&self, map: &ConfigMap) -> BTreeMap<String, String> {
        let entries = self.entries.iter().filter_map(|(key, value)| Some((map.entry_of(key)?, value)));
        entries.map(|(entry, value)| (entry.to_owned(), value.clone())).collect()
    }

    /// Sets a key. An absent value unsets it.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for a value out of the key's range.
    pub fn set<T: ConfigValue>(&mut self, option: &'static ConfigOption<T>, value: T) -> Result<(), ConfigError> {
        if T::OPTIONAL && Some(&value) == T::absent().as_ref() {
            self.entries.remove(option.key());
            return Ok(());
        }
        self.set_text(option.key(), &value.show(), Origin::Job)
    }

    /// Sets a key by its name, which may be a fallback or an old one. A key that is accepted without effect is left out.
    ///
    /// # Errors
    /// For an unknown key, a value that does not fit, or too many settings.
    pub fn set_text(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        self.put(name, value, &origin).map(drop)
    }

    pub(super) fn put(&mut self, name: &str, value: &str, origin: &Origin) -> Result<Effect, ConfigError> {
        if let Some(map) = MAPS.iter().find(|map| map.prefix() == name) {
            return self.put_map(map, value, origin);
        }
        let Some(key) = checked_key(name, value, origin)? else {
            return Ok(Effect::None);
        };
        self.entries.insert(key.to_owned(), value.to_owned());
        if self.entries.len() > ENTRIES_MAX {
            let what = format!("{} settings", self.entries.len());
            return Err(ConfigError::TooLarge { what, max: ENTRIES_MAX });
        }
        Ok(Effect::Set)
    }

    /// Sets a map from one text, as Flink writes it: `key:value,key:value`.
    fn put_map(&mut self, map: &ConfigMap, text: &str, origin: &Origin) -> Result<Effect, ConfigError> {
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((entry, value)) = pair.split_once(':').filter(|(entry, _)| !entry.trim().is_empty()) else {
                return Err(ConfigError::BadValue {
                    key: map.prefix().to_owned(),
                    value: shortened(pair),
                    origin: origin.clone(),
                    reason: "not a list like key:value,key:value".to_owned(),
                });
            };
            self.put(&format!("{}.{}", map.prefix(), entry.trim()), value.trim(), origin)?;
        }
        Ok(Effect::Set)
    }

    /// Takes over the settings of `stronger`, which win.
    pub fn merge(&mut self, stronger: &Self) {
        self.entries.extend(stronger.entries.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// The settings by key, secrets included.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The settings by key, for people: secrets are masked.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().map(|(key, value)| (key, if is_secret(key) { MASK } else { value }))
    }

    /// Refuses settings that fit their keys but not one another.
    ///
    /// # Errors
    /// [`ConfigError::Conflict`] names both keys and values.
    pub(super) fn check_together(&self) -> Result<(), ConfigError> {
        self.shorter(&cluster::HEARTBEAT_INTERVAL, &cluster::HEARTBEAT_TIMEOUT)?;
        let (first, longest) = (&restart::EXPONENTIAL_INITIAL_BACKOFF, &restart::EXPONENTIAL_MAX_BACKOFF);
        if self.get(first) > self.get(longest) {
            return Err(self.conflict(first, "at most", longest));
        }
        self.may_overtake()
    }

    /// Barriers overtake only where each record counts exactly once, and one checkpoint at a time.
    fn may_overtake(&self) -> Result<(), ConfigError> {
        let unaligned = &checkpointing::UNALIGNED;
        if !self.get(unaligned) {
            return Ok(());
        }
        let (mode, concurrent) = (self.get(&checkpointing::MODE), self.get(&checkpointing::MAX_CONCURRENT));
        let (key, value, expected) = if mode != CheckpointingMode::ExactlyOnce {
            (checkpointing::MODE.key(), mode.show(), CheckpointingMode::ExactlyOnce.show())
        } else if concurrent > 1 {
            (checkpointing::MAX_CONCURRENT.key(), concurrent.to_string(), "1".to_owned())
        } else {
            return Ok(());
        };
        let message = format!("with {:?}, value {value:?} of {key:?} must be {expected:?}", unaligned.key());
        Err(ConfigError::Conflict(message))
    }

    fn shorter(
        &self,
        short: &'static ConfigOption<Duration>,
        long: &'static ConfigOption<Duration>,
    ) -> Result<(), ConfigError> {
        if self.get(short) < self.get(long) { Ok(()) } else { Err(self.conflict(short, "shorter than", long)) }
    }

    fn conflict(
        &self,
        left: &'static ConfigOption<Duration>,
        relation: &str,
        right: &'static ConfigOption<Duration>,
    ) -> ConfigError {
        let shown = |option| DurationText(self.get(option));
        ConfigError::Conflict(format!(
            "value \"{}\" of {:?} must be {relation} the {:?} of \"{}\"",
            shown(left),
            left.key(),
            right.key(),
            shown(right)
        ))
    }
}

/// What setting a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The key is set.
    Set,
    /// The key is accepted, but means nothing here.
    None,
}

/// The proper name of a key whose value fits; `None` for a key that is accepted without effect.
fn checked_key<'n>(name: &'n str, value: &str, origin: &Origin) -> Result<Option<&'n str>, ConfigError> {
    for (what, text) in [("key", name), ("value", value)] {
        if text.len() > TEXT_BYTES_MAX {
            let what = format!("a {what} of {} bytes, {:?}", text.len(), shortened(name));
            return Err(ConfigError::TooLarge { what, max: TEXT_BYTES_MAX });
        }
    }
    if let Some(found) = registry::find(name) {
        let declaration = found.declaration;
        return match (declaration.check)(declaration, value) {
            Ok(()) => Ok(Some(declaration.key)),
            Err(reason) => Err(ConfigError::BadValue {
                key: name.to_owned(),
                value: if declaration.secret { MASK.to_owned() } else { shortened(value) },
                origin: origin.clone(),
                reason,
            }),
        };
    }
    if registry::is_map_entry(name) {
        return Ok(Some(name));
    }
    if accepted::without_effect(name).is_some() {
        return Ok(None);
    }
    Err(unknown_key(name, origin))
}

/// The error for a key that is not declared.
pub(super) fn unknown_key(name: &str, origin: &Origin) -> ConfigError {
    let (key, origin) = (shortened(name), origin.clone());
    match accepted::refused(name) {
        Some(reason) => ConfigError::Unsupported { key, origin, reason },
        None => ConfigError::UnknownKey { key, origin, nearest: registry::nearest(name).map(str::to_owned) },
    }
}

impl TryFrom<BTreeMap<String, String>> for Configuration {
    type Error = ConfigError;

    fn try_from(entries: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|(name, _)| registry::strength(name));
        for (key, value) in &entries {
            config.put(key, value, &Origin::Job)?;
        }
        config.check_together()?;
        Ok(config)
    }
}

impl From<Configuration> for BTreeMap<String, String> {
    fn from(config: Configuration) -> Self {
        config.entries
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::keys::{pipeline, rest, security, slots, taskmanager},
        units::ByteSize,
    };

    fn of(settings: &[(&str, &str)]) -> Result<Configuration, ConfigError> {
        let entries: BTreeMap<_, _> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Configuration::try_from(entries)
    }

    #[track_caller]
    fn check_error(settings: &[(&str, &str)], expected: &str) {
        assert_eq!(of(settings).expect_err("refused").to_string(), expected);
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = Configuration::default();
        assert_eq!(config.get(&rest::PORT), 8081);
        assert_eq!(config.get(&slots::TOTAL_MEMORY_MAX), None);
        assert_eq!(config.get(&taskmanager::MEMORY_PROCESS_SIZE), ByteSize::from_mebibytes(1728));
        assert!(!config.is_set(&rest::PORT));
    }

    #[test]
    fn a_value_set_is_the_value_read() {
        let mut config = Configuration::default();
        config.set(&rest::PORT, 18081).expect("in range");
        config.set(&slots::TOTAL_MEMORY_MAX, Some(ByteSize::from_mebibytes(10))).expect("in range");
        assert_eq!(config.get(&rest::PORT), 18081);
        assert_eq!(config.get(&slots::TOTAL_MEMORY_MAX), Some(ByteSize::from_mebibytes(10)));
        config.set(&slots::TOTAL_MEMORY_MAX, None).expect("unset");
        assert!(!config.is_set(&slots::TOTAL_MEMORY_MAX));
        config.set(&taskmanager::NUMBER_OF_TASK_SLOTS, 0).expect_err("out of range");
    }

    #[test]
    fn barriers_overtake_only_where_records_count_once_and_one_checkpoint_at_a_time() {
        let unaligned = ("execution.checkpointing.unaligned", "true");
        assert!(of(&[unaligned, ("execution.checkpointing.aligned-checkpoint-timeout", "5 s")]).is_ok());
        let (mode, most) = ("execution.checkpointing.mode", "execution.checkpointing.max-concurrent-checkpoints");
        check_error(
            &[unaligned, (mode, "AT_LEAST_ONCE")],
            "with \"execution.checkpointing.unaligned.enabled\", value \"AT_LEAST_ONCE\" of \"execution.checkpointing.mode\" \
             must be \"EXACTLY_ONCE\"",
        );
        check_error(
            &[unaligned, (most, "2")],
            "with \"execution.checkpointing.unaligned.enabled\", value \"2\" of \
             \"execution.checkpointing.max-concurrent-checkpoints\" must be \"1\"",
        );
        assert!(of(&[(mode, "AT_LEAST_ONCE"), (most, "2")]).is_ok());
    }

    #[test]
    fn a_job_claims_what_it_starts_from_or_does_not() {
        use crate::config::keys::checkpointing::{CLAIM_MODE, ClaimMode};

        assert_eq!(of(&[]).unwrap().get(&CLAIM_MODE), ClaimMode::NoClaim);
        for key in ["execution.state-recovery.claim-mode", "execution.savepoint-restore-mode"] {
            for (text, mode) in [
                ("NO_CLAIM", ClaimMode::NoClaim),
                ("no_claim", ClaimMode::NoClaim),
                ("CLAIM", ClaimMode::Claim),
                (" claim", ClaimMode::Claim),
            ] {
                assert_eq!(of(&[(key, text)]).unwrap().get(&CLAIM_MODE), mode, "{text}");
            }
            for mode in ["LEGACY", "legacy", "NOCLAIM"] {
                let refused = of(&[(key, mode)]).expect_err("refused").to_string();
                let named = refused.contains(key) && refused.contains(&format!("\"{mode}\""));
                assert!(named && refused.contains("NO_CLAIM") && refused.contains(" CLAIM"), "{refused}");
            }
        }
    }

    #[test]
    fn errors_name_key_value_and_what_would_be_right() {
        check_error(
            &[("taskmanger.memory.process.size", "1g")],
            "unknown key \"taskmanger.memory.process.size\" in the job's configuration \
             (did you mean \"taskmanager.memory.process.size\"?)",
        );
        check_error(
            &[("taskmanager.numberOfTaskSlots", "0")],
            "value \"0\" of \"taskmanager.numberOfTaskSlots\" in the job's configuration is out of range; \
             write a whole number from 1 to 1024",
        );
        check_error(
            &[("rest.port", "http")],
            "value \"http\" of \"rest.port\" in the job's configuration is not a whole number from 0 to 65535",
        );
        check_error(
            &[("cluster.backend", "yarn")],
            "value \"yarn\" of \"cluster.backend\" in the job's configuration is not one of process, standalone, kubernetes",
        );
        check_error(
            &[("heartbeat.timeout", "1 s")],
            "value \"2 s\" of \"heartbeat.interval\" must be shorter than the \"heartbeat.timeout\" of \"1 s\"",
        );
    }

    #[test]
    fn secrets_are_masked_wherever_they_are_shown() {
        let parameter = "pipeline.global-job-parameters.db.password";
        let config = of(&[("security.token", "correct-horse-battery"), (parameter, "hunter2"), ("rest.port", "1")])
            .expect("settings");
        let debug = format!("{config:?}");
        assert!(!debug.contains("horse") && !debug.contains("hunter2"), "{debug}");
        let shown: Vec<_> = config.shown().collect();
        assert_eq!(shown, [(parameter, MASK), ("rest.port", "1"), ("security.token", MASK)]);
        assert_eq!(config.get(&security::TOKEN).as_deref(), Some("correct-horse-battery"));
        let bad = of(&[("security.token", "line\nbreak")]).expect_err("control character").to_string();
        assert!(bad.contains(MASK) && !bad.contains("break"), "{bad}");
    }

    #[test]
    fn maps_hold_free_keys() {
        let config = of(&[("pipeline.global-job-parameters.a.b", "1"), ("pipeline.name", "x")]).expect("settings");
        let map = config.map(&pipeline::GLOBAL_JOB_PARAMETERS);
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [("a.b".to_owned(), "1".to_owned())]);
        of(&[("pipeline.global-job-parameters.", "1")]).expect_err("empty entry");
    }

    #[test]
    fn documents_are_checked_like_every_other_source() {
        let config = of(&[("rest.port", "1"), ("pipeline.name", "n")]).expect("settings");
        let json = serde_json::to_string(&config).expect("json");
        assert_eq!(json, r#"{"pipeline.name":"n","rest.port":"1"}"#);
        assert_eq!(serde_json::from_str::<Configuration>(&json).expect("same"), config);
        for hostile in [r#"{"rest.port":"no"}"#, r#"{"nosuch.key":"1"}"#, r#"{"rest.port":1}"#, "[]"] {
            serde_json::from_str::<Configuration>(hostile).expect_err(hostile);
        }
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        of(&[("pipeline.name", &long)]).expect_err("long value");
        of(&[(&long, "1")]).expect_err("long key");
    }

    #[test]
    fn keys_without_effect_leave_no_trace() {
        let config = of(&[("env.java.opts.all", "-Xmx1g"), ("yarn.application.name", "x")]).expect("accepted");
        assert_eq!(config, Configuration::default());
    }

    #[test]
    fn the_stronger_configuration_wins() {
        let mut config = of(&[("rest.port", "1"), ("pipeline.name", "weak")]).expect("settings");
        config.merge(&of(&[("pipeline.name", "strong")]).expect("settings"));
        assert_eq!(config, of(&[("rest.port", "1"), ("pipeline.name", "strong")]).expect("settings"));
    }
}

use super::{
    accepted,
    configuration::{Configuration, Effect},
    environment,
    error::{ConfigError, Origin, Warning, shortened},
    registry::{self, NameKind},
    yaml,
};

/// Reads settings from texts; sources that are added later are stronger.
///
/// ```
/// use flott_core::config::{Loader, keys};
///
/// let loaded = Loader::new()
///     .file("config.yaml", "rest:\n  port: 8081\ntaskmanager.numberOfTaskSlots: 4\n")
///     .environment([("FLOTT_REST__PORT", "18081"), ("HOME", "/")])
///     .overrides(["taskmanager.memory.process.size=4g"])
///     .load()?;
/// assert_eq!(loaded.config.get(&keys::rest::PORT), 18081);
/// assert_eq!(loaded.config.get(&keys::taskmanager::NUMBER_OF_TASK_SLOTS), 4);
/// assert!(loaded.warnings.is_empty());
/// # Ok::<(), flott_core::config::ConfigError>(())
/// ```
#[derive(Debug, Default)]
pub struct Loader {
    layers: Vec<Layer>,
    error: Option<ConfigError>,
}

/// A configuration and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub config: Configuration,
    /// One line each, for people.
    pub warnings: Vec<Warning>,
}

/// The settings of one source. Within it the proper name of a key is stronger than its fallbacks.
type Layer = Vec<(String, String, Origin)>;

impl Loader {
    /// No source yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a YAML file, given by its text; `name` is what errors call it.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        let settings = yaml::settings(name, text);
        self.layer(settings.map(|settings| {
            let located = settings.into_iter().map(|setting| {
                let origin = Origin::File { name: name.to_owned(), line: setting.line };
                (setting.key, setting.value, origin)
            });
            located.collect()
        }))
    }

    /// Adds environment variables; those that do not begin with `FLOTT_` are passed over.
    #[must_use]
    pub fn environment<K: AsRef<str>, V: AsRef<str>>(self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let settings = variables.into_iter().filter_map(|(variable, value)| {
            let variable = variable.as_ref();
            let found = environment::key_of(variable).transpose()?;
            let origin = Origin::Environment { variable: variable.to_owned() };
            Some(found.map(|declaration| (declaration.key.to_owned(), value.as_ref().to_owned(), origin)))
        });
        let settings = settings.collect();
        self.layer(settings)
    }

    /// Adds `key=value` pairs of the command line, as they stand behind `-D`. Of two for one key the later is stronger.
    #[must_use]
    pub fn overrides<P: AsRef<str>>(self, pairs: impl IntoIterator<Item = P>) -> Self {
        let settings = pairs.into_iter().map(|pair| {
            let pair = pair.as_ref();
            match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    Ok((key.trim().to_owned(), value.trim().to_owned(), Origin::CommandLine))
                }
                _ => Err(ConfigError::NoPair { text: shortened(pair) }),
            }
        });
        let settings = settings.collect();
        self.layer(settings)
    }

    /// Adds the configuration of a job.
    #[must_use]
    pub fn job<K: AsRef<str>, V: AsRef<str>>(self, entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let settings =
            entries.into_iter().map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned(), Origin::Job));
        let settings = Ok(settings.collect());
        self.layer(settings)
    }

    fn layer(mut self, settings: Result<Layer, ConfigError>) -> Self {
        match settings {
            Ok(layer) => self.layers.push(layer),
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Checks all settings of all sources, those that a stronger source covers too.
    ///
    /// # Errors
    /// The first thing that is wrong, from the weakest source to the strongest.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut loaded = Loaded { config: Configuration::default(), warnings: Vec::new() };
        for mut layer in self.layers {
            layer.sort_by_key(|(name, ..)| registry::strength(name));
            for (name, value, origin) in layer {
                loaded.add(&name, &value, origin)?;
            }
        }
        loaded.config.check_together()?;
        Ok(loaded)
    }
}

impl Loaded {
    fn add(&mut self, name: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        match self.config.put(name, value, &origin)? {
            Effect::Set => {}
            Effect::None => self.warn_without_effect(name, &origin),
        }
        if let Some(found) = registry::find(name)
            && found.by == NameKind::Deprecated
        {
            self.warnings.push(Warning::Deprecated { key: name.to_owned(), origin, instead: found.declaration.key });
        }
        Ok(())
    }

    fn warn_without_effect(&mut self, name: &str, origin: &Origin) {
        let known = |warning: &Warning| matches!(warning, Warning::NoEffect { key, .. } if key == name);
        if let Some(reason) = accepted::without_effect(name)
            && !self.warnings.iter().any(known)
        {
            self.warnings.push(Warning::NoEffect { key: name.to_owned(), origin: origin.clone(), reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(loader: Loader, settings: &[(&str, &str)], warnings: &[&str]) {
        let loaded = loader.load().expect("settings");
        assert_eq!(loaded.config.entries().collect::<Vec<_>>(), settings);
        assert_eq!(loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), warnings);
    }

    #[track_caller]
    fn check_error(loader: Loader, expected: &str) {
        assert_eq!(loader.load().expect_err(expected).to_string(), expected);
    }

    #[test]
    fn the_command_line_beats_the_environment_and_that_the_file() {
        let loader = Loader::new()
            .file("c.yaml", "rest.port: 1\npipeline.name: file\ncluster.id: file\n")
            .environment([("FLOTT_REST__PORT", "2"), ("FLOTT_PIPELINE__NAME", "env"), ("PATH", "/bin")])
            .overrides(["rest.port=3", " rest.port = 4 "]);
        check(loader, &[("cluster.id", "file"), ("pipeline.name", "env"), ("rest.port", "4")], &[]);
    }

    #[test]
    fn a_fallback_in_a_stronger_source_beats_the_key_in_a_weaker() {
        let file = Loader::new().file("c.yaml", "restart-strategy.type: none\n");
        check(file.overrides(["restart-strategy=fixed-delay"]), &[("restart-strategy.type", "fixed-delay")], &[]);
        let both = "rest.address: a\njobmanager.rpc.address: b\n";
        check(Loader::new().file("c.yaml", both), &[("rest.address", "a")], &[]);
        check(Loader::new().job([("jobmanager.rpc.address", "b")]), &[("rest.address", "b")], &[]);
    }

    #[test]
    fn old_names_and_foreign_keys_get_one_line_each() {
        let jvm = "-Dmetrics.database=test-flink";
        check(
            Loader::new()
                .file("c.yaml", "web.history: 7\nenv.java.opts: -Xmx1g\n")
                .overrides([format!("env.java.opts={jvm}"), format!("env.java.opts.taskmanager={jvm}")]),
            &[("jobstore.max-capacity", "7")],
            &[
                "key \"web.history\" at c.yaml:1 is an old name; write \"jobstore.max-capacity\"",
                "key \"env.java.opts\" at c.yaml:2 has no effect: there is no JVM to set up",
                "key \"env.java.opts.taskmanager\" in -D has no effect: there is no JVM to set up",
            ],
        );
    }

    #[test]
    fn keys_whose_meaning_does_not_exist_here_say_why() {
        check(
            Loader::new().overrides(["slot.idle.timeout=1 s", "client.heartbeat.interval=1 s"]),
            &[],
            &[
                "key \"slot.idle.timeout\" in -D has no effect: a job keeps its slots until it ends",
                "key \"client.heartbeat.interval\" in -D has no effect: a job on a running cluster outlives its client; \
                 a cluster of its own sees by itself that its client is gone",
            ],
        );
    }

    #[test]
    fn reporters_of_flink_are_told_where_metrics_are() {
        let text = "metrics.reporters: prom\nmetrics.reporter.prom.port: 9250-9260\nmetrics.scope.jm: jm\n\
                    metrics.reporter.prom.factory.class: org.apache.flink.metrics.prometheus.PrometheusReporterFactory\n";
        let loaded = Loader::new().file("config.yaml", text).load().expect("accepted");
        assert_eq!(loaded.config.entries().count(), 0);
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        for (key, told) in [
            ("metrics.reporters", "taskmanager.metrics.port"),
            ("metrics.reporter.prom.port", "`/metrics` of the REST port"),
            ("metrics.scope.jm", "always the same"),
        ] {
            assert!(warnings.iter().any(|line| line.contains(key) && line.contains(told)), "{key}: {warnings:?}");
        }
    }

    #[test]
    fn flinks_own_file_loads() {
        let text = "env:\n  java:\n    opts:\n      all: --add-exports=x\njobmanager:\n  bind-host: localhost\n  rpc:\n    address: localhost\n    \
                    port: 6123\n  memory:\n    process:\n      size: 1600m\n  execution:\n    failover-strategy: region\ntaskmanager:\n  \
                    bind-host: localhost\n  host: localhost\n  numberOfTaskSlots: 1\n  memory:\n    process:\n      size: 1728m\n\
                    parallelism:\n  default: 1\nrest:\n  address: localhost\n  bind-address: localhost\n";
        let loaded = Loader::new().file("config.yaml", text).load().expect("accepted");
        assert_eq!(loaded.config.entries().count(), 9);
        assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    }

    #[test]
    fn errors_name_where_the_setting_stands() {
        check_error(
            Loader::new().file("c.yaml", "\ntaskmanger:\n  memory.process.size: 1g\n"),
            "unknown key \"taskmanger.memory.process.size\" at c.yaml:3 (did you mean \"taskmanager.memory.process.size\"?)",
        );
        check_error(
            Loader::new().environment([("FLOTT_REST__PORT", "many")]),
            "value \"many\" of \"rest.port\" in environment variable FLOTT_REST__PORT is not a whole number from 0 to 65535",
        );
        check_error(
            Loader::new().overrides(["slot.request.timeout=-1 s"]),
            "value \"-1 s\" of \"slot.request.timeout\" in -D is no duration: it is negative; write 500 ms, 10 s, 5 min or 1 h",
        );
        check_error(Loader::new().overrides(["rest.port"]), "-D wants key=value, but got \"rest.port\"");
        check_error(Loader::new().overrides(["=5"]), "-D wants key=value, but got \"=5\"");
        check_error(
            Loader::new().overrides(["execution.checkpointing.unaligned.forced=true"]),
            "key \"execution.checkpointing.unaligned.forced\" in -D is not supported: this version does not have that part of \
             unaligned checkpoints",
        );
    }

    #[test]
    fn a_mistake_is_an_error_even_where_a_stronger_source_covers_it() {
        let loader = Loader::new().file("c.yaml", "rest.port: no\n").overrides(["rest.port=1"]);
        check_error(loader, "value \"no\" of \"rest.port\" at c.yaml:1 is not a whole number from 0 to 65535");
    }

    #[test]
    fn parameters_of_the_program_are_a_map() {
        let loader = Loader::new()
            .file("c.yaml", "pipeline:\n  global-job-parameters:\n    a: 1\n    b.c: 2\n")
            .overrides(["pipeline.global-job-parameters=a:9, d:http://x"]);
        let prefix = "pipeline.global-job-parameters";
        check(
            loader,
            &[(&format!("{prefix}.a"), "9"), (&format!("{prefix}.b.c"), "2"), (&format!("{prefix}.d"), "http://x")],
            &[],
        );
        check_error(
            Loader::new().overrides([format!("{prefix}=a")]),
            "value \"a\" of \"pipeline.global-job-parameters\" in -D is not a list like key:value,key:value",
        );
    }

    /// Texts that are often near a key or a value.
    fn near() -> impl Strategy<Value = String> {
        let keys: Vec<_> = registry::declarations().map(|declaration| declaration.key).collect();
        let key = prop::sample::select(keys);
        prop_oneof![
            ".{0,20}",
            (key.clone(), ".{0,9}").prop_map(|(key, value)| format!("{key}={value}")),
            (key.clone(), "[0-9]{0,12} ?[a-z]{0,2}").prop_map(|(key, value)| format!("{key}={value}")),
            key.prop_map(environment::variable_of),
        ]
    }

    proptest! {
        #[test]
        fn what_loads_fits_and_reads_back(pairs in prop::collection::vec(near(), 0..4), text in near()) {
            let loader = Loader::new().file("f", &text).environment([(&text, "1")]).overrides(&pairs);
            let _ = loader.load();
            if let Ok(loaded) = Loader::new().overrides(&pairs).load() {
                for declaration in registry::declarations() {
                    let value = loaded.config.entries().find(|(key, _)| *key == declaration.key);
                    prop_assert!(value.is_none_or(|(_, value)| (declaration.check)(declaration, value).is_ok()));
                }
                let _ = loaded.config.restart_strategy();
                let json = serde_json::to_string(&loaded.config)?;
                prop_assert_eq!(serde_json::from_str::<Configuration>(&json)?, loaded.config);
            }
        }
    }
}

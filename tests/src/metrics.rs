//! What somebody collects who knows nothing of Flott but the text.

use flott_core::metrics::{Format, ReadFamily, ReadSample, read};

use crate::rest::Rest;

/// The metrics of one endpoint at one moment.
#[derive(Debug)]
pub struct Collected(Vec<ReadFamily>);

impl Collected {
    /// Those of `rest`. Every line has to be what the format says.
    #[track_caller]
    pub fn of(rest: &Rest) -> Self {
        let text = rest.get("/metrics");
        let text = text.as_str().unwrap_or_else(|| panic!("no text: {text}"));
        Self(read(text, Format::Prometheus).unwrap_or_else(|error| panic!("{error}\n{text}")))
    }

    /// The series of a metric, called without its `flott_`, that have these labels.
    pub fn series<'a>(
        &'a self,
        name: &str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a ReadSample> + use<'a> {
        let family = self.0.iter().find(|family| family.name.strip_prefix("flott_") == Some(name));
        let fits = |sample: &&ReadSample| labels.iter().all(|(label, value)| sample.label(label) == Some(value));
        family.into_iter().flat_map(|family| &family.samples).filter(fits)
    }

    /// The value of the one series with these labels; none where there is no such series.
    ///
    /// # Panics
    /// If there are several.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.series(name, labels).collect();
        assert!(found.len() < 2, "{name} {labels:?}: {found:?}");
        found.first().map(|sample| sample.value)
    }

    /// The sum of the series with these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).map(|sample| sample.value).sum()
    }

    /// Names of all metrics, without their `flott_`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|family| family.name.strip_prefix("flott_").unwrap_or("?"))
    }
}

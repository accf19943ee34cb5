//! Repeated runs, and the line that they become.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::machine;

/// What one run took.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub seconds: f64,
    /// Of the workers.
    pub cpu_seconds: f64,
    /// Of all others: JobManager, client.
    pub other_cpu_seconds: f64,
    /// Of one worker.
    pub peak_rss_bytes: u64,
    /// What only this workload has.
    pub more: BTreeMap<&'static str, f64>,
}

/// Runs of one configuration of a workload on one engine.
#[derive(Debug, Clone)]
pub struct Line {
    engine: &'static str,
    workload: String,
    parallelism: u32,
    records: u64,
    load: f64,
    runs: Vec<Run>,
}

/// What Flott calls itself in lines.
pub const FLOTT: &str = "flott";

impl Line {
    /// No runs yet.
    pub fn new(engine: &'static str, workload: &str, parallelism: u32, records: u64) -> Self {
        let workload = workload.to_owned();
        Self { engine, workload, parallelism, records, load: machine::load(), runs: Vec::new() }
    }

    pub fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(of).collect())
    }

    /// Median CPU time of the workers, in microseconds a record.
    pub fn cpu_us_per_record(&self) -> f64 {
        self.median(|run| run.cpu_seconds) * 1e6 / self.records as f64
    }

    /// Adds a figure that all runs have in common.
    pub fn note(&mut self, name: &'static str, value: f64) {
        for run in &mut self.runs {
            run.more.insert(name, value);
        }
    }

    /// Median records per second.
    pub fn records_per_second(&self) -> f64 {
        self.records as f64 / self.median(|run| run.seconds)
    }

    /// Medians as JSON; each figure has its own median.
    pub fn json(&self) -> Value {
        let seconds = self.median(|run| run.seconds);
        let line = json!({
            "engine": self.engine,
            "workload": self.workload,
            "parallelism": self.parallelism,
            "records": self.records,
            "seconds": rounded(seconds),
            "records_per_second": rounded(self.records_per_second()),
            "cpu_seconds": rounded(self.median(|run| run.cpu_seconds)),
            "cpu_us_per_record": rounded(self.cpu_us_per_record()),
            "peak_rss_bytes": self.median(|run| run.peak_rss_bytes as f64) as u64,
            "other_cpu_seconds": rounded(self.median(|run| run.other_cpu_seconds)),
            "runs": self.runs.len(),
            "load_before": rounded(self.load),
        });
        let Value::Object(mut line) = line else { return line };
        for name in self.runs.iter().flat_map(|run| run.more.keys()) {
            let values = self.runs.iter().filter_map(|run| run.more.get(name).copied());
            line.insert((*name).to_owned(), json!(rounded(median(values.collect()))));
        }
        Value::Object(line)
    }
}

/// How many times as much the other engine took. Above 1, Flott is better.
pub fn ratio(flott: &Line, other: &Line) -> Value {
    let mut ratios = Map::new();
    let mut add = |name: &str, ours: f64, theirs: f64| {
        // What takes less than a clock tick, or has no such figure, has no ratio.
        if ours > 0.0 && theirs > 0.0 {
            ratios.insert(name.to_owned(), json!(rounded(theirs / ours)));
        }
    };
    let per_record = |line: &Line| line.median(|run| run.seconds) / line.records as f64;
    add("seconds_per_record", per_record(flott), per_record(other));
    add("cpu_per_record", flott.cpu_us_per_record(), other.cpu_us_per_record());
    let peak = |line: &Line| line.median(|run| run.peak_rss_bytes as f64);
    add("peak_rss", peak(flott), peak(other));
    let names: std::collections::BTreeSet<_> = flott.runs.iter().flat_map(|run| run.more.keys().copied()).collect();
    for name in names {
        let value = |line: &Line| median(line.runs.iter().filter_map(|run| run.more.get(name).copied()).collect());
        add(name, value(flott), value(other));
    }
    json!({ "workload": flott.workload, "parallelism": flott.parallelism, "ratio": ratios, "to": other.engine })
}

/// NaN of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => f64::NAN,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => (upper + values[middle - 1]) / 2.0,
    }
}

/// To four digits; figures here have no more.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits <= 0 {
        return value.round();
    }
    let factor = 10f64.powi(digits);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn lines_have_what_is_promised() {
        let mut line = Line::new(FLOTT, "chain", 2, 1_000_000);
        for seconds in [0.5, 0.25, 1.0] {
            line.add(Run { seconds, cpu_seconds: seconds * 2.0, peak_rss_bytes: 7, ..Run::default() });
        }
        let json = line.json();
        assert_eq!(json["workload"], "chain");
        assert_eq!(json["parallelism"], 2);
        assert_eq!(json["seconds"], 0.5);
        assert_eq!(json["records_per_second"], 2_000_000.0);
        assert_eq!(json["cpu_seconds"], 1.0);
        assert_eq!(json["cpu_us_per_record"], 1.0);
        assert_eq!(json["peak_rss_bytes"], 7);
    }

    #[test]
    fn ratios_are_per_record() {
        let line = |records, seconds| {
            let mut line = Line::new(FLOTT, "chain", 1, records);
            line.add(Run { seconds, cpu_seconds: seconds, peak_rss_bytes: 10, ..Run::default() });
            line
        };
        let ratio = ratio(&line(100, 1.0), &line(50, 5.0));
        assert_eq!(ratio["ratio"]["cpu_per_record"], 10.0);
        assert_eq!(ratio["ratio"]["peak_rss"], 1.0);
    }

    #[test]
    fn four_digits_are_kept() {
        assert_eq!(rounded(123_456.7), 123_457.0);
        assert_eq!(rounded(0.012_345_6), 0.012_35);
        assert_eq!(rounded(0.0), 0.0);
    }
}

//! Age of records behind a hop by key, at a steady rate, between two TaskManagers.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    Bench, Workload,
    cluster::{Cluster, Shape},
    flink::{self, FlinkCluster},
    rest::Program,
    runs::{FLOTT, Line, Run},
    throughput,
};

/// Measures between as many TaskManagers of one slot as there are subtasks.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let (sizes, name) = (&bench.sizes, Workload::Latency.name());
    let parallelism = bench.parallelism.unwrap_or(2);
    let shape = Shape { workers: parallelism, slots: 1 };
    let records = sizes.latency_rate * sizes.latency_duration.as_secs();
    let cluster = Cluster::start(&bench.binaries, shape)?;
    let jar = cluster.client().upload(&bench.binaries.lab)?;
    let beside = bench.flink.as_ref().map(|flink| flink.up(shape)).transpose()?;
    let mut flott = Line::new(FLOTT, &name, parallelism, records);
    let mut other = Line::new(flink::FLINK, &name, parallelism, records);
    let seconds = sizes.latency_duration.as_secs_f64();
    for number in 0..bench.repeat {
        let output = cluster.folder().join(format!("latency-{number}"));
        let arguments = arguments(bench, ["--warm-up", "--output"], &output)?;
        let arguments = [vec!["latency".to_owned()], arguments].concat();
        let program = Program { jar: jar.clone(), entry: None, arguments, parallelism, from: None };
        let mut run = throughput::run(&cluster, &program)?;
        run.more = histogram(&output)?.figures()?;
        run.more.insert("cores", run.cpu_seconds / seconds);
        flott.add(run);
        if let Some(flink) = &beside {
            let output = cluster.folder().join(format!("flink-latency-{number}"));
            let mut run = on_flink(bench, flink, parallelism, &output)?;
            run.more.insert("cores", run.cpu_seconds / seconds);
            other.add(run);
        }
    }
    bench.print(&flott, beside.is_some().then_some(&other));
    Ok(())
}

fn arguments(bench: &Bench, [warm_up, output]: [&str; 2], to: &Path) -> anyhow::Result<Vec<String>> {
    let sizes = &bench.sizes;
    let to = to.to_str().context("the temporary directory is not UTF-8")?;
    Ok([
        ("--rate", sizes.latency_rate.to_string()),
        ("--keys", sizes.latency_keys.to_string()),
        ("--seconds", sizes.latency_duration.as_secs().to_string()),
        (warm_up, sizes.latency_warm_up.as_secs().to_string()),
        (output, to.to_owned()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect())
}

/// Records by age in nanoseconds, of all receivers together.
#[derive(Debug, Default)]
struct Histogram(BTreeMap<u64, u64>);

#[derive(Deserialize)]
struct Bucket {
    latency_ns: u64,
    records: u64,
}

/// Adds up the histograms that receivers have written below `folder`.
fn histogram(folder: &Path) -> anyhow::Result<Histogram> {
    let mut histogram = Histogram::default();
    let entries = fs::read_dir(folder).with_context(|| format!("{} has no histograms", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            histogram.add(&fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?)?;
        }
    }
    Ok(histogram)
}

impl Histogram {
    fn add(&mut self, lines: &str) -> anyhow::Result<()> {
        for line in lines.lines() {
            let bucket: Bucket = serde_json::from_str(line).with_context(|| format!("{line:?} is no bucket"))?;
            *self.0.entry(bucket.latency_ns).or_default() += bucket.records;
        }
        Ok(())
    }

    fn percentile(&self, part: f64, records: u64) -> u64 {
        let wanted = (records as f64 * part).ceil() as u64;
        let mut seen = 0;
        let reached = self.0.iter().find(|(_, records)| {
            seen += **records;
            seen >= wanted
        });
        reached.or(self.0.last_key_value()).map_or(0, |(latency, _)| *latency)
    }

    fn figures(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let records: u64 = self.0.values().sum();
        ensure!(records > 0, "no record was measured; is all of it warm-up?");
        let ms = |part| self.percentile(part, records) as f64 / 1e6;
        Ok(BTreeMap::from([
            ("p50_ms", ms(0.5)),
            ("p90_ms", ms(0.9)),
            ("p99_ms", ms(0.99)),
            ("p999_ms", ms(0.999)),
            ("max_ms", ms(1.0)),
        ]))
    }
}

#[derive(Deserialize)]
struct FlinkFigures {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Each receiver gives percentiles in microseconds; the figure is that of the receiver which fares worse.
fn on_flink(bench: &Bench, flink: &FlinkCluster<'_>, parallelism: u32, output: &Path) -> anyhow::Result<Run> {
    let mut run = flink.run("Latency", parallelism, &arguments(bench, ["--warm", "--out"], output)?)?;
    for subtask in 0..parallelism {
        let path = format!("{}.{subtask}", output.display());
        let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        let figures: FlinkFigures = serde_json::from_str(&text).with_context(|| format!("{path} has no figures"))?;
        let FlinkFigures { p50, p90, p99, p999, max } = figures;
        for (name, us) in [("p50_ms", p50), ("p90_ms", p90), ("p99_ms", p99), ("p999_ms", p999), ("max_ms", max)] {
            let worst = run.more.entry(name).or_default();
            *worst = worst.max(us / 1e3);
        }
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_receivers_add_up() {
        let mut histogram = Histogram::default();
        histogram.add("{\"latency_ns\":1000000,\"records\":60}\n{\"latency_ns\":3000000,\"records\":1}\n").unwrap();
        histogram.add("{\"latency_ns\":1000000,\"records\":30}\n{\"latency_ns\":2000000,\"records\":9}\n").unwrap();
        let figures = histogram.figures().unwrap();
        let expected = [("p50_ms", 1.0), ("p90_ms", 1.0), ("p99_ms", 2.0), ("p999_ms", 3.0), ("max_ms", 3.0)];
        assert_eq!(figures, BTreeMap::from(expected));
    }

    #[test]
    fn nothing_measured_is_an_error() {
        assert!(Histogram::default().figures().is_err());
        assert!(Histogram::default().add("not json").is_err());
    }
}

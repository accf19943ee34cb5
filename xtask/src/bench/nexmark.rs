//! The Nexmark queries, each at one and at two subtasks, and what the generator takes by itself.
//!
//! Rows are dropped, as the suite does, but for those of q10: these go to files, to a new directory for each run, which is
//! removed behind it.

use anyhow::{Context, ensure};

use super::{
    Bench,
    cluster::{Cluster, Shape},
    rest::Program,
    runs::{FLOTT, Line},
    throughput,
};

/// All that there are.
const QUERIES: u32 = 23;

/// Generates events and drops them: what each query has besides its own work.
const GENERATOR: &str = "generate";

/// The query whose rows go to files.
const LOG: &str = "q10";

/// Measures the queries that were asked for.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let all: Vec<String> = (0..QUERIES).map(|number| format!("q{number}")).collect();
    for query in &bench.queries {
        ensure!(all.contains(query), "there is no query {query:?}: they are q0 to q{}", QUERIES - 1);
    }
    let queries = if bench.queries.is_empty() { &all } else { &bench.queries };
    let parallelisms = bench.parallelism.map_or_else(|| vec![1, 2], |parallelism| vec![parallelism]);
    let generator = parallelisms.iter().map(|parallelism| run(bench, GENERATOR, *parallelism));
    let generator: Vec<Line> = generator.collect::<anyhow::Result<_>>()?;
    generator.iter().for_each(|line| bench.print(line, None));
    for query in queries {
        let mut one = None;
        for (parallelism, generator) in parallelisms.iter().zip(&generator) {
            let mut line = run(bench, query, *parallelism)?;
            line.note("engine_cpu_us_per_record", line.cpu_us_per_record() - generator.cpu_us_per_record());
            let rate = line.records_per_second();
            let first = *one.get_or_insert(rate);
            line.note("speed_up", rate / first);
            bench.print(&line, None);
        }
    }
    Ok(())
}

fn run(bench: &Bench, query: &str, parallelism: u32) -> anyhow::Result<Line> {
    let events = bench.sizes.nexmark_events;
    let mut line = Line::new(FLOTT, &format!("nexmark-{query}"), parallelism, events);
    let cluster = Cluster::start_with(&bench.binaries, Shape { workers: 1, slots: parallelism }, &throughput::ONCE)?;
    let jar = cluster.client().upload(&bench.binaries.nexmark)?;
    let arguments = ["--query", query, "--events", &events.to_string()].map(str::to_owned).to_vec();
    let mut program = Program { jar, entry: None, arguments, parallelism, from: None };
    let arguments = program.arguments.len();
    for _ in 0..bench.repeat {
        let files = (query == LOG).then(|| tempfile::Builder::new().prefix("fb-log-").tempdir()).transpose();
        let files = files.context("no temporary directory")?;
        program.arguments.truncate(arguments);
        if let Some(files) = &files {
            let path = files.path().to_str().context("the path of a temporary directory is not UTF-8")?;
            program.arguments.extend(["--sink", "files", "--output", path].map(str::to_owned));
        }
        line.add(throughput::run(&cluster, &program)?);
        files.map_or(Ok(()), tempfile::TempDir::close).context("the files of a run cannot be removed")?;
    }
    Ok(line)
}

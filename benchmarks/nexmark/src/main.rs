//! Runs a query (`nexmark --query q5 --events 10000000`), writes events to files (`nexmark write`), or compares answers
//! with the model (`nexmark check`).

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use flott::{Data, Environment, Stream};
use flott_nexmark::{
    check, files,
    generator::{Generator, Options},
    model,
    queries::{Row, q10},
    query::{Query, Take, UnknownQuery},
    source::NexmarkSource,
};

flott::allocator!();

/// Nexmark, the benchmark of queries over streams
#[derive(Parser)]
#[command(name = "nexmark", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the events to files, as lines of JSON
    Write(Write),
    /// Compares the answers of queries with those of the model: of jobs within this process, or one that was written to files
    Check(Check),
}

/// Which events there are.
#[derive(Args)]
struct Events {
    /// How many events
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: u64,
    /// Other seeds, other events
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Events per second of event time
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    events_per_second: u64,
    /// Milliseconds of event time by which events may be out of order; without it 0, and 1000 for a check
    #[arg(long, value_name = "MS")]
    out_of_order: Option<u64>,
}

impl Events {
    fn generator(&self) -> anyhow::Result<Generator> {
        let Self { events, seed, events_per_second, out_of_order } = *self;
        let out_of_order_ms = out_of_order.unwrap_or(0);
        Ok(Generator::new(Options { count: events, seed, events_per_second, out_of_order_ms, ..Options::default() })?)
    }
}

#[derive(Args)]
struct Run {
    /// Which query: q0 to q22; or `generate`, which only makes the events
    #[arg(long)]
    query: Option<Work>,
    #[command(flatten)]
    events: Events,
    /// Where events come from
    #[arg(long, value_enum, default_value_t = SourceKind::Generator)]
    source: SourceKind,
    /// Events per second that the generator makes at most; without it, as many as it can
    #[arg(long, value_name = "N")]
    rate_events_per_second: Option<f64>,
    /// Directory of files that `nexmark write` has written
    #[arg(long, value_name = "DIR", required_if_eq("source", "files"))]
    input: Option<PathBuf>,
    /// Subtasks of each operator; without it, as the job is submitted with, or all cores
    #[arg(long, short, value_name = "N")]
    parallelism: Option<u32>,
    /// Where rows go
    #[arg(long, value_enum, default_value_t = SinkKind::Discard)]
    sink: SinkKind,
    /// Directory for the files of the sink
    #[arg(long, value_name = "DIR", required_if_eq_any([("sink", "json"), ("sink", "files")]))]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy)]
enum Work {
    /// What is left of each query when the query is taken away.
    Generate,
    Query(Query),
}

impl FromStr for Work {
    type Err = UnknownQuery;

    fn from_str(name: &str) -> Result<Self, UnknownQuery> {
        if name == "generate" { Ok(Self::Generate) } else { name.parse().map(Self::Query) }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generate => f.write_str("generate"),
            Self::Query(query) => query.fmt(f),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceKind {
    Generator,
    Files,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SinkKind {
    /// Nowhere
    Discard,
    /// Files of lines of JSON
    Json,
    /// The table of q10: CSV files by day and minute
    Files,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Written {
    Json,
    Files,
}

#[derive(Args)]
struct Write {
    #[command(flatten)]
    events: Events,
    /// Directory for the files
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// How many files
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    files: u64,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    events: Events,
    /// How many seeds, from the first on
    #[arg(long, default_value_t = 1, value_name = "N")]
    seeds: u64,
    /// Which queries; without it, all
    #[arg(long, short, num_args = 1.., value_delimiter = ',')]
    queries: Vec<Query>,
    /// Subtasks of each operator
    #[arg(long, short, default_values_t = [1, 2, 4], value_delimiter = ',')]
    parallelism: Vec<u32>,
    /// Directory to which a job has written the rows of the one query: runs nothing
    #[arg(long, value_name = "DIR", requires = "queries", conflicts_with_all = ["seeds", "parallelism"])]
    answers: Option<PathBuf>,
    /// The sink that it has written them with
    #[arg(long, value_enum, default_value_t = Written::Json, requires = "answers")]
    sink: Written,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments { command: Some(Command::Write(write)), .. } => {
            let paths = files::write(&write.events.generator()?, &write.output, write.files)
                .with_context(|| format!("events cannot be written to {}", write.output.display()))?;
            paths.iter().for_each(|path| println!("{}", path.display()));
            Ok(())
        }
        Arguments { command: Some(Command::Check(options)), .. } => run_check(&options),
        Arguments { command: None, run: options } => run(options),
    }
}

fn run(options: Run) -> anyhow::Result<()> {
    let Run { query, events, source, rate_events_per_second, input, parallelism, sink, output } = options;
    let work = query.context("say which query with --query, q0 to q22; or see --help for what else there is")?;
    let env = Environment::new();
    if let Some(subtasks) = parallelism {
        env.set_parallelism(subtasks);
    }
    let generator = events.generator()?;
    let out_of_order = generator.options().out_of_order();
    let events = match (source, input) {
        (SourceKind::Files, Some(directory)) => files::read(&env, &directory),
        (SourceKind::Files, None) => bail!("--source files needs --input"),
        (SourceKind::Generator, _) => {
            let source = NexmarkSource::new(generator);
            let source = match rate_events_per_second {
                Some(rate) => source.rate(rate),
                None => source,
            };
            env.from_source(source, "events")
        }
    };
    let files = match (sink, output) {
        (SinkKind::Discard, _) => None,
        (SinkKind::Json | SinkKind::Files, None) => bail!("a sink that writes files needs --output"),
        (SinkKind::Json | SinkKind::Files, directory) => directory,
    };
    match (work, sink, files) {
        (Work::Query(Query::Q10), SinkKind::Files, Some(directory)) => {
            q10::log::write(&q10::plan(&events), directory);
        }
        (_, SinkKind::Files, _) => {
            bail!("--sink files is the table that q10 writes to; the suite drops all other rows")
        }
        (Work::Generate, _, files) => Output(files).put(&events),
        (Work::Query(query), _, files) => query.plan(&events, out_of_order, Output(files)),
    }
    env.execute(&format!("nexmark {work}"))?;
    Ok(())
}

/// Rows to files in a directory, or nowhere.
struct Output(Option<PathBuf>);

impl Output {
    fn put<T: Data>(self, records: &Stream<T>) {
        match self.0 {
            Some(directory) => records.write_json_lines(directory),
            None => records.discard(),
        };
    }
}

impl Take for Output {
    type Out = ();

    fn take<R: Row>(self, rows: &Stream<R>) {
        self.put(rows);
    }
}

/// How late events of a check may be, where nothing is said of it.
const CHECK_OUT_OF_ORDER_MS: u64 = 1_000;

fn run_check(options: &Check) -> anyhow::Result<()> {
    let Check { events, seeds, queries, parallelism, answers, sink } = options;
    let queries = if queries.is_empty() { Query::ALL.as_slice() } else { queries };
    let out_of_order = Some(events.out_of_order.unwrap_or(CHECK_OUT_OF_ORDER_MS));
    let mut wrong = 0;
    let mut compare = |what: fmt::Arguments<'_>, expected: &[String], found: &[String]| {
        let outcome = match check::difference(expected, found) {
            None => format!("{} rows", expected.len()),
            Some(difference) => {
                wrong += 1;
                format!("WRONG: {difference}")
            }
        };
        println!("{what}: {outcome}");
    };
    for seed in (0..*seeds).map(|more| events.seed.wrapping_add(more)) {
        let generator = Events { seed, out_of_order, ..*events }.generator()?;
        let all = generator.events();
        if let Some(directory) = answers {
            let [query] = queries else { bail!("--answers has the rows of one query; name it with --queries") };
            let found = match sink {
                Written::Json => check::written(*query, directory)?,
                Written::Files => {
                    ensure!(*query == Query::Q10, "--sink files is the table that q10 writes to");
                    check::logged(directory)?
                }
            };
            compare(format_args!("{query:<4} seed {seed}"), &model::answer(*query, &all), &found);
            continue;
        }
        for query in queries {
            let expected = model::answer(*query, &all);
            for parallelism in parallelism {
                let found = check::answer(*query, &generator, *parallelism)?;
                compare(format_args!("{query:<4} seed {seed} parallelism {parallelism}"), &expected, &found);
            }
        }
    }
    ensure!(wrong == 0, "{wrong} answers are not those of the model");
    Ok(())
}

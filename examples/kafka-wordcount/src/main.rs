//! Counts the words of one topic into another, each running count once.
//!
//! ```sh
//! servers=$(cargo xtask kafka up)
//! cargo run -p kafka-wordcount -- --servers $servers --say 'to be or|not to be'
//! cargo run -p kafka-wordcount -- --servers $servers --bounded
//! cargo run -p kafka-wordcount -- --servers $servers --show
//! ```
//!
//! Without `--bounded` it waits for more: on a cluster, where its counts appear with each checkpoint.

use anyhow::Result;
use clap::Parser;
use flott::{Environment, ExecutionMode};
use flott_kafka::{Admin, KafkaMessage, KafkaSink, KafkaSource, NewTopic, StopAt};

/// Counts the words of one Kafka topic into another.
#[derive(Parser)]
struct Arguments {
    /// Brokers: host and port, with commas between
    #[arg(long)]
    servers: String,
    /// Where lines are read from
    #[arg(long, default_value = "lines")]
    from: String,
    /// Where counts are written to
    #[arg(long, default_value = "counts")]
    to: String,
    /// Only makes both topics, and writes these lines to the first
    #[arg(long, value_delimiter = '|')]
    say: Vec<String>,
    /// Only prints what readers of committed records see of the second
    #[arg(long)]
    show: bool,
    /// Ends with what there is, in place of waiting for more
    #[arg(long)]
    bounded: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let env = Environment::new();
    env.set_mode(ExecutionMode::Streaming);
    let text = |record: &flott_kafka::KafkaRecord| Ok(Some(String::from_utf8(record.bytes().to_vec())?));
    if !arguments.say.is_empty() {
        let admin = Admin::new(&arguments.servers);
        for topic in [&arguments.from, &arguments.to] {
            admin.create(&NewTopic::new(topic, 2))?;
        }
        let lines =
            KafkaSink::new(&arguments.servers, &arguments.from, |line: &String| Ok(KafkaMessage::new(line.clone())));
        env.from_collection(arguments.say).sink(lines);
    } else if arguments.show {
        env.from_source(
            KafkaSource::new(&arguments.servers, arguments.to.as_str(), text).stop_at(StopAt::Latest),
            "counts",
        )
        .print();
    } else {
        let stop = if arguments.bounded { StopAt::Latest } else { StopAt::Never };
        let lines =
            KafkaSource::new(&arguments.servers, arguments.from.as_str(), text).group("kafka-wordcount").stop_at(stop);
        let counts = KafkaSink::new(&arguments.servers, &arguments.to, |(word, count): &(String, u64)| {
            Ok(KafkaMessage::new(format!("{word} {count}")).key(word.clone()))
        });
        env.from_source(lines, "lines")
            .flat_map_iter(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
            .key_by(|word| word.clone())
            .count()
            .sink(counts.exactly_once("kafka-wordcount"));
    }
    env.execute("kafka-wordcount")?;
    Ok(())
}

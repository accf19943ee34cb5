//! A program for end-to-end tests of Kafka: counts the numbers of one topic by their remainders, and writes each count to another
//! topic. `SERVERS IN OUT KEYS PAUSE_US [bounded]`: it takes its time for each record, and reads on for ever, or what there is.

use std::{process::ExitCode, thread::sleep, time::Duration};

use flott::{Environment, ExecutionMode};
use flott_kafka::{KafkaMessage, KafkaSink, KafkaSource, StopAt};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [servers, input, output, keys, pause, rest @ ..] = arguments else {
        return Err("arguments: SERVERS IN OUT KEYS PAUSE_US [bounded]".into());
    };
    let (keys, pause): (u64, u64) = (keys.parse()?, pause.parse()?);
    let stop = if rest.is_empty() { StopAt::Never } else { StopAt::Latest };
    let env = Environment::new();
    env.set_mode(ExecutionMode::Streaming);
    env.set_max_parallelism(64);
    let source =
        KafkaSource::new(servers, input.as_str(), |record| Ok(Some(std::str::from_utf8(record.bytes())?.parse()?)))
            .group("kafka-program")
            .stop_at(stop);
    let sink = KafkaSink::new(servers, output, |(key, count): &(u64, u64)| {
        Ok(KafkaMessage::new(format!("{key} {count}")).key(key.to_string()))
    });
    let remainder = move |number: u64| {
        sleep(Duration::from_micros(pause));
        number % keys
    };
    let numbers = env.from_source(source, "numbers").uid("numbers");
    let counts = numbers.map(remainder).uid("remainders").key_by(|remainder| *remainder).count().uid("counts");
    counts.sink(sink.exactly_once("kafka-program")).uid("to-kafka");
    env.execute("kafka")?;
    Ok(())
}

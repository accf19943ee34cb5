//! A broker for all tests of this binary, and topics of their own.

use std::sync::{
    LazyLock, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use flott::{Environment, ExecutionMode};
use flott_kafka::{Admin, KafkaMessage, KafkaSink, KafkaSource, NewTopic, StopAt};
use flott_kafka_broker::{Broker, missing};

static BROKER: LazyLock<Mutex<Option<Broker>>> = LazyLock::new(|| {
    let missing = missing("the tests of Kafka");
    Mutex::new((!missing).then(|| Broker::start().expect("a broker can be started")))
});

/// The broker's address; nothing where there can be none, which has been said aloud.
pub fn servers() -> Option<String> {
    broker().as_ref().map(Broker::servers)
}

fn broker() -> MutexGuard<'static, Option<Broker>> {
    BROKER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new topic that no other test has.
pub fn topic(servers: &str, partitions: i32) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("topic-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Admin::new(servers).create(&NewTopic::new(&name, partitions)).expect("topics can be made");
    name
}

pub fn sink(servers: &str, topic: &str) -> KafkaSink<String> {
    KafkaSink::new(servers, topic, |text: &String| Ok(KafkaMessage::new(text.clone()).key(text.clone())))
}

pub fn source(servers: &str, topic: &str) -> KafkaSource<String> {
    KafkaSource::new(servers, topic, |record| Ok(Some(String::from_utf8(record.bytes().to_vec())?)))
}

pub fn env(parallelism: u32) -> Environment {
    let env = Environment::local();
    env.set_parallelism(parallelism);
    env.set_mode(ExecutionMode::Streaming);
    env
}

/// Writes texts in one job.
pub fn write(sink: KafkaSink<String>, texts: Vec<String>) -> flott::Result<()> {
    let env = env(1);
    env.from_collection(texts).sink(sink);
    env.execute("write").map(drop)
}

/// All that `source` has by now, in order of the alphabet.
pub fn read(source: KafkaSource<String>) -> Vec<String> {
    let env = env(2);
    let read = env.from_source(source.stop_at(StopAt::Latest), "kafka").collect();
    let result = env.execute("read").expect("it can be read");
    let mut read = result.collected(&read).expect("it was collected");
    read.sort();
    read
}

pub fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:06}")).collect()
}

/// Compares multisets, and says what differs and not all that there is.
#[track_caller]
pub fn assert_same(mut found: Vec<String>, mut expected: Vec<String>) {
    found.sort();
    expected.sort();
    if found == expected {
        return;
    }
    let count = |texts: &[String]| {
        let mut counts = std::collections::BTreeMap::<String, i64>::new();
        texts.iter().for_each(|text| *counts.entry(text.clone()).or_default() += 1);
        counts
    };
    let mut difference = count(&found);
    for (text, times) in count(&expected) {
        *difference.entry(text).or_default() -= times;
    }
    difference.retain(|_, times| *times != 0);
    let first: Vec<_> = difference.iter().take(10).collect();
    panic!("{} found, {} expected; {} differ, as {first:?}", found.len(), expected.len(), difference.len());
}

//! A broker with numbers in a topic, and a job that counts them into another.

use std::path::Path;

use flott::{Environment, ExecutionMode};
use flott_kafka::{Admin, KafkaMessage, KafkaSink, KafkaSource, NewTopic, StopAt};
use flott_kafka_broker::{Broker, missing};
use flott_tests::{
    binaries::binary,
    book::{check_running, word_and_count},
    checkpoints::until_checkpoint,
    eventually::{PATIENCE, eventually},
    program::counts,
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

pub const RECORDS: u64 = 36_000;
pub const KEYS: u64 = 30;
/// For each record: the numbers of a topic take some ten seconds.
pub const PAUSE_US: u64 = 250;
const PARTITIONS: i32 = 4;

/// A broker of a test's own.
pub struct Stand {
    pub sandbox: Sandbox,
    pub servers: String,
    /// Until a test takes it over.
    pub broker: Option<Broker>,
}

impl Stand {
    /// Nothing where there can be no broker, which is said aloud.
    pub fn new(what_for: &str) -> Option<Self> {
        if missing(what_for) {
            return None;
        }
        let sandbox = Sandbox::new();
        sandbox.configure(&format!("execution.checkpointing.dir: {}", sandbox.at("checkpoints")));
        let broker = Broker::start().expect("a broker can be started");
        let servers = broker.servers();
        let admin = Admin::new(&servers);
        for topic in ["in", "out"] {
            admin.create(&NewTopic::new(topic, PARTITIONS)).expect("topics can be made");
        }
        let stand = Self { sandbox, servers, broker: Some(broker) };
        stand.write(0..RECORDS);
        Some(stand)
    }

    /// Puts numbers into the topic that is read.
    pub fn write(&self, numbers: std::ops::Range<u64>) {
        self.write_to("in", numbers);
    }

    /// Puts numbers into a topic, into all of its partitions in turn.
    pub fn write_to(&self, topic: &str, numbers: std::ops::Range<u64>) {
        let env = local();
        let number =
            |number: &u64| Ok(KafkaMessage::new(number.to_string()).to_partition((number % PARTITIONS as u64) as i32));
        env.from_collection(numbers.collect::<Vec<u64>>()).sink(KafkaSink::new(&self.servers, topic, number));
        env.execute("numbers").expect("numbers can be written");
    }

    /// All that readers of committed records see.
    pub fn results(&self) -> Vec<String> {
        self.read(|source| source)
    }

    /// All that has been written, also in transactions that are open or were aborted.
    pub fn written(&self) -> Vec<String> {
        self.read(KafkaSource::read_uncommitted)
    }

    /// Waits until something has been.
    #[track_caller]
    pub fn until_written(&self) {
        eventually(
            "records to be written",
            PATIENCE,
            || if self.written().is_empty() { Err("none is") } else { Ok(()) },
        );
    }

    fn read(&self, how: impl FnOnce(KafkaSource<String>) -> KafkaSource<String>) -> Vec<String> {
        let env = local();
        let text = |record: &flott_kafka::KafkaRecord| Ok(Some(String::from_utf8(record.bytes().to_vec())?));
        let source = how(KafkaSource::new(&self.servers, "out", text).stop_at(StopAt::Latest));
        let read = env.from_source(source, "results").collect();
        let result = env.execute("results").expect("results can be read");
        result.collected(&read).expect("they were collected")
    }

    /// Starts a job that takes its time for each record, and ends with what there is or not at all.
    pub fn start<'a>(&'a self, session: Session<'a>, options: &[&str], pause_us: u64, ends: bool) -> Run<'a> {
        let mut arguments =
            vec![self.servers.clone(), "in".to_owned(), "out".to_owned(), KEYS.to_string(), pause_us.to_string()];
        arguments.extend(ends.then(|| "bounded".to_owned()));
        let always = ["-d", "-D", "execution.checkpointing.interval=200 ms"];
        let options: Vec<&str> = always.iter().chain(options).copied().collect();
        let job = session.run(&options, &binary("kafka-program"), arguments).success().job();
        session.until_all_run(&job);
        Run { stand: self, session, job }
    }
}

fn local() -> Environment {
    let env = Environment::local();
    env.set_mode(ExecutionMode::Streaming);
    env.set_parallelism(1);
    env
}

/// A job at work.
pub struct Run<'a> {
    pub stand: &'a Stand,
    pub session: Session<'a>,
    pub job: String,
}

impl<'a> Run<'a> {
    pub fn until_checkpoint(&self) {
        until_checkpoint(Path::new(&self.stand.sandbox.at("checkpoints")));
    }

    pub fn kill(&self, role: Role) {
        Process::kill_all(&self.stand.sandbox.running(role));
    }

    /// The job comes to its end, and each count is there once.
    #[track_caller]
    pub fn check(self) {
        self.session.finished(&self.job);
        check(self.stand, RECORDS);
        self.session.stop();
    }
}

/// Each count up to that of `records` is there once.
#[track_caller]
pub fn check(stand: &Stand, records: u64) {
    let mut lines = stand.results();
    // Keys are spread over partitions, which are read in any order.
    lines.sort_by_cached_key(|line| word_and_count(line));
    check_running(&lines, &counts(records, KEYS));
}

/// Waits until readers of committed records see so many.
#[track_caller]
pub fn until_results(stand: &Stand, count: u64) {
    eventually(&format!("{count} results"), PATIENCE, || {
        let found = stand.results().len() as u64;
        if found >= count { Ok(()) } else { Err(found) }
    });
}

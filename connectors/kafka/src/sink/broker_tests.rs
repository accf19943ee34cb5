//! What becomes of transactions whose writers are gone, at a real broker.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use flott_kafka_broker::{Broker, missing};
use parking_lot::Mutex;

use super::{
    commit::{self, Fate},
    pool::{Pool, Waiting},
    transaction::{Place, Prepared, WriterName},
    *,
};
use crate::wire::{Admin, NewTopic};

static BROKER: LazyLock<Option<Broker>> = LazyLock::new(|| {
    (!missing("the tests of transactions")).then(|| Broker::start().expect("a broker can be started"))
});

/// A cluster with a topic of this name, which has one partition.
fn cluster(topic: &str) -> Option<Cluster> {
    let servers = BROKER.as_ref()?.servers();
    Admin::new(&servers).create(&NewTopic::new(topic, 1)).expect("topics can be made");
    Some(Cluster::new(&servers, "test"))
}

fn name(stem: &str, attempt: u32, subtask: u32) -> WriterName {
    WriterName { stem: stem.to_owned(), epoch: 1, attempt, subtask }
}

fn settings(topic: &str) -> Arc<Settings> {
    let sink = KafkaSink::new("", topic, |text: &String| Ok(KafkaMessage::new(text.clone())));
    Arc::new(sink.settings)
}

/// A writer at work, without a task.
struct Stand {
    cluster: Cluster,
    exchange: Arc<exchange::Exchange>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Stand {
    fn begin(cluster: &Cluster, topic: &str, name: WriterName, parallelism: u32, decided: Vec<Prepared>) -> Self {
        Self::with_timeout(cluster, topic, name, parallelism, decided, Duration::from_secs(60))
    }

    fn with_timeout(
        cluster: &Cluster,
        topic: &str,
        name: WriterName,
        parallelism: u32,
        decided: Vec<Prepared>,
        timeout: Duration,
    ) -> Self {
        let (exchange, waiting) = (Arc::new(exchange::Exchange::new(1 << 20)), Arc::<Mutex<Waiting>>::default());
        let pool = Pool::new(name, parallelism, timeout, decided, waiting.clone());
        crate::wire::spawn(sender::Sender::new(settings(topic), cluster.clone(), exchange.clone(), Some(pool)).run());
        Self { cluster: cluster.clone(), exchange, waiting }
    }

    /// Writes texts, waits until they are there, and prepares the transaction.
    fn prepare(&self, texts: &[&str]) -> TaskResult<Prepared> {
        self.exchange.put(texts.iter().map(|text| KafkaMessage::new((*text).to_owned())));
        self.exchange.flush();
        block_on(std::future::poll_fn(|cx| self.exchange.poll_ready(cx)))?;
        Ok(self.exchange.take_prepared().expect("something was written"))
    }

    /// Writes texts that nobody prepares, and waits until they are there.
    fn leave_open(&self, texts: &[&str]) -> Prepared {
        let open = self.prepare(texts).expect("it can be written");
        self.waiting.lock().own.clear();
        open
    }

    fn fate(&self, of: &Prepared) -> Fate {
        block_on(commit::fate(&self.cluster, of)).expect("the broker answers")
    }

    fn commit(&self, of: &Prepared) -> TaskResult {
        block_on(commit::commit_all(&self.cluster, std::slice::from_ref(of)))
    }
}

/// Waits until a transaction is no longer open.
fn until_ended(stand: &Stand, of: &Prepared) -> Fate {
    for _ in 0..600 {
        match stand.fate(of) {
            Fate::Open => std::thread::sleep(Duration::from_millis(50)),
            ended @ (Fate::Committed | Fate::Aborted | Fate::Gone) => return ended,
        }
    }
    panic!("{} is open after half a minute", of.id)
}

#[test]
fn commits_are_repeated_without_harm_by_anybody_at_any_later_time() {
    let Some(cluster) = cluster("repeats") else { return };
    let writer = Stand::begin(&cluster, "repeats", name("repeats", 0, 0), 1, Vec::new());
    let first = writer.prepare(&["a", "b"]).unwrap();
    assert_eq!((writer.fate(&first), first.records), (Fate::Open, 2));
    // Somebody who knows no more than what the checkpoint holds.
    let other = Cluster::new(cluster_servers(), "other");
    for _ in 0..2 {
        block_on(commit::commit_all(&other, std::slice::from_ref(&first))).unwrap();
        assert_eq!(writer.fate(&first), Fate::Committed);
    }
    // The name is used again, twice: the coordinator knows nothing of the first one any more.
    for text in ["c", "d"] {
        let next = writer.prepare(&[text]).unwrap();
        assert_eq!(next.id, first.id);
        writer.commit(&next).unwrap();
    }
    writer.commit(&first).unwrap();
}

fn cluster_servers() -> &'static str {
    static SERVERS: LazyLock<String> = LazyLock::new(|| BROKER.as_ref().map(Broker::servers).unwrap_or_default());
    &SERVERS
}

#[test]
fn what_waits_for_its_commit_keeps_its_name() {
    let Some(cluster) = cluster("pool") else { return };
    let writer = Stand::begin(&cluster, "pool", name("pool", 0, 0), 1, Vec::new());
    let [first, second] = ["a", "b"].map(|text| writer.prepare(&[text]).unwrap());
    assert_ne!(first.id, second.id);
    writer.commit(&first).unwrap();
    let third = writer.prepare(&["c"]).unwrap();
    assert_eq!(third.id, first.id);
    assert_eq!([&second, &third].map(|of| writer.fate(of)), [Fate::Open, Fate::Open]);
    [second, third].iter().for_each(|of| writer.commit(of).unwrap());
}

#[test]
fn who_starts_aborts_what_older_attempts_have_left_and_nothing_else() {
    let Some(cluster) = cluster("sweep") else { return };
    let open = |stem: &str, attempt, subtask| {
        Stand::begin(&cluster, "sweep", name(stem, attempt, subtask), 4, Vec::new()).leave_open(&["x"])
    };
    // It comes first here, so as not to sweep the others.
    let newer = open("sweep", 9, 0);
    let decided = open("sweep", 0, 0);
    let left = open("sweep", 0, 2);
    let of_another_subtask = open("sweep", 0, 1);
    let of_another_sink = open("sweep-2", 0, 0);
    let next = Stand::begin(&cluster, "sweep", name("sweep", 1, 0), 2, vec![decided.clone()]);
    next.prepare(&["y"]).unwrap();
    // All are in one partition, and its stable offset does not pass the first that is open.
    let of =
        |prepared: &Prepared| block_on(commit::still_open(&cluster, vec![prepared.clone()])).map(|open| open.len());
    assert!([&decided, &of_another_subtask, &newer, &of_another_sink].iter().all(|kept| of(kept).unwrap() == 1));
    for kept in [&decided, &of_another_subtask, &newer, &of_another_sink] {
        next.commit(kept).unwrap();
    }
    assert_eq!(until_ended(&next, &decided), Fate::Committed);
    assert_eq!(until_ended(&next, &left), Fate::Aborted);
    let refused = next.commit(&left).unwrap_err();
    assert!(refused.message.contains("with 1 records of a complete checkpoint"), "{refused}");
}

/// Its first transaction was committed behind the snapshot, and the name used again.
#[test]
fn who_starts_aborts_what_was_begun_anew_under_a_name_that_the_snapshot_knows() {
    let Some(cluster) = cluster("again") else { return };
    let killed = Stand::begin(&cluster, "again", name("again", 0, 0), 1, Vec::new());
    let decided = killed.prepare(&["a"]).unwrap();
    killed.commit(&decided).unwrap();
    let left = killed.leave_open(&["b"]);
    assert_eq!(left.id, decided.id);
    let next = Stand::begin(&cluster, "again", name("again", 1, 0), 1, vec![decided.clone()]);
    next.commit(&next.prepare(&["c"]).unwrap()).unwrap();
    assert_eq!(until_ended(&next, &left), Fate::Aborted);
    // Who commits it once more, as whoever starts from the snapshot does, finds that it is.
    next.commit(&decided).unwrap();
}

/// What an attempt that was killed had sent last may come to the broker only then.
#[test]
fn who_starts_takes_names_that_older_attempts_have_begun_nothing_under() {
    let Some(cluster) = cluster("last-words") else { return };
    let timeout = Duration::from_secs(60);
    let id = name("last-words", 0, 0).slot(0).to_string();
    let (producer, epoch) = block_on(commit::take_over(&cluster, &id, timeout)).unwrap();
    let next = Stand::begin(&cluster, "last-words", name("last-words", 1, 0), 1, Vec::new());
    next.commit(&next.prepare(&["x"]).unwrap()).unwrap();
    // Each who takes it raises the epoch, below which nothing is begun any more.
    assert_eq!(block_on(commit::take_over(&cluster, &id, timeout)).unwrap(), (producer, epoch + 2));
}

#[test]
fn a_job_that_is_cancelled_leaves_nothing_open() {
    let Some(cluster) = cluster("cancelled") else { return };
    let (job, other) = (JobId::from_bytes([1; 16]), JobId::from_bytes([2; 16]));
    let [one, two] = [1, 2].map(|byte| OperatorId::from_bytes([byte; 16]));
    let begin =
        |job, sink| Stand::begin(&cluster, "cancelled", name(&stem_of("cancelled", job, sink), 0, 0), 1, Vec::new());
    let [writer, of_two, of_other] = [begin(job, one), begin(job, two), begin(other, one)];
    // A savepoint has the first; nobody has what comes behind it.
    let kept = writer.prepare(&["v"]).unwrap();
    let left = writer.prepare(&["w"]).unwrap();
    let elsewhere = [of_two.prepare(&["x"]).unwrap(), of_other.prepare(&["y"]).unwrap()];
    let sink = KafkaSink::new(cluster_servers(), "cancelled", |text: &String| Ok(KafkaMessage::new(text.clone())));
    let held = [Bytes::from(kept.to_bytes().unwrap())];
    // What is no part of transactions leaves nothing.
    sink.abort(job, one, &held).unwrap();
    assert!(is_open(&cluster, &left));
    let sink = sink.exactly_once("cancelled");
    for _ in 0..2 {
        sink.abort(job, one, &held).unwrap();
        assert!(!is_open(&cluster, &left));
        assert!([&kept].into_iter().chain(&elsewhere).all(|other| is_open(&cluster, other)));
    }
    // Whoever starts from the savepoint commits it, and the other sink may have nothing to keep.
    writer.commit(&kept).unwrap();
    sink.abort(job, two, &[]).unwrap();
    let [of_sink_two, of_other_job] = elsewhere;
    of_other.commit(&of_other_job).unwrap();
    assert_eq!(
        [&kept, &left, &of_sink_two].map(|of| until_ended(&writer, of)),
        [Fate::Committed, Fate::Aborted, Fate::Aborted]
    );
}

/// Whether it is still to be ended. (Its log cannot tell while an earlier one of its partition is open.)
fn is_open(cluster: &Cluster, of: &Prepared) -> bool {
    let state = block_on(commit::state_of(cluster, &of.id)).expect("the broker answers");
    state.is_some_and(|state| commit::is_of(&state, of) && state.transaction_state.as_str() == "Ongoing")
}

/// Its writer is told to go while a batch of it is on its way: nothing is begun any more, for nobody would end it.
#[test]
fn a_writer_that_goes_begins_nothing() {
    let Some(cluster) = cluster("gone") else { return };
    let (exchange, name) = (Arc::new(exchange::Exchange::new(1 << 20)), name("gone", 0, 0));
    let pool = Pool::new(name.clone(), 1, Duration::from_secs(60), Vec::new(), Arc::default());
    let mut sender = sender::Sender::new(settings("gone"), cluster.clone(), exchange.clone(), Some(pool));
    exchange.close();
    block_on(sender.send(vec![KafkaMessage::new("x")])).unwrap();
    let id = name.slot(0).to_string();
    assert_eq!(block_on(describe(&cluster, &id)), "Empty");
    block_on(sender.run());
    assert_eq!(block_on(describe(&cluster, &id)), "Empty");
}

#[test]
fn a_commit_that_comes_too_late_says_what_is_lost() {
    let Some(cluster) = cluster("late") else { return };
    let brief = Duration::from_secs(1);
    let writer = Stand::with_timeout(&cluster, "late", name("late", 0, 0), 1, Vec::new(), brief);
    let late = writer.prepare(&["a"]).unwrap();
    assert_eq!(until_ended(&writer, &late), Fate::Aborted);
    let refused = writer.commit(&late).unwrap_err();
    assert!(refused.message.contains("Raise transaction_timeout"), "{refused}");
    // A writer that comes to know of it fails: what it has written is read again.
    let failed = writer.prepare(&["b"]).unwrap_err();
    assert!(failed.message.contains("which was prepared for a checkpoint"), "{failed}");
}

#[test]
fn a_timeout_that_the_broker_does_not_allow_is_named() {
    let Some(cluster) = cluster("timeout") else { return };
    let long = Duration::from_secs(86_400);
    let writer = Stand::with_timeout(&cluster, "timeout", name("timeout", 0, 0), 1, Vec::new(), long);
    let refused = writer.prepare(&["a"]).unwrap_err();
    assert!(refused.message.contains("transaction.max.timeout.ms"), "{refused}");
}

#[test]
fn a_writer_that_goes_aborts_what_it_has_open() {
    let Some(cluster) = cluster("goes") else { return };
    let writer = Stand::begin(&cluster, "goes", name("goes", 0, 0), 1, Vec::new());
    let done = writer.prepare(&["a"]).unwrap();
    writer.commit(&done).unwrap();
    writer.exchange.put(std::iter::once(KafkaMessage::new("b")));
    let Place { topic, partition, offset } = done.first.clone().unwrap();
    // Behind the first record and the note of its commit.
    let open = Prepared { first: Some(Place { topic, partition, offset: offset + 2 }), ..done.clone() };
    for _ in 0..600 {
        let is_there = block_on(commit::fate(&cluster, &open)).unwrap() == Fate::Open
            && block_on(describe(&cluster, &done.id)) == "Ongoing";
        if is_there {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    writer.exchange.close();
    assert_eq!(until_ended(&writer, &open), Fate::Aborted);
}

async fn describe(cluster: &Cluster, id: &str) -> String {
    let request = kafka_protocol::messages::DescribeTransactionsRequest::default()
        .with_transactional_ids(vec![commit::transactional_id(id)]);
    let route = crate::wire::Route::Coordinator(crate::wire::Coordinated::Transaction, id);
    let answer = cluster.ask(route, &request, Duration::from_secs(10), |_| Ok(())).await.expect("the broker answers");
    answer.transaction_states.first().map(|state| state.transaction_state.to_string()).unwrap_or_default()
}

//! Who leads what, and asking again.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::Future,
    sync::Arc,
    time::Duration,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName,
        metadata_request::MetadataRequestTopic,
    },
    protocol::{Request, StrBytes},
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::Connection;
use crate::error::{KafkaError, KafkaResult};

/// Between two tries, and how it grows.
const RETRY_DELAY: Duration = Duration::from_millis(20);
const RETRY_DELAY_MAX: Duration = Duration::from_millis(1_000);

/// How long a broker may not have heard of a topic that there is.
pub(crate) const NEWS_PATIENCE: Duration = Duration::from_secs(5);

/// A cluster as a client knows it. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Cluster(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    servers: String,
    client: StrBytes,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    brokers: HashMap<i32, String>,
    leaders: HashMap<String, BTreeMap<i32, i32>>,
}

/// Who coordinates what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Coordinated {
    Group,
    Transaction,
}

/// A topic, with the partitions that there are.
#[derive(Debug, Clone)]
pub(crate) struct TopicMeta {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// Who is to be asked.
#[derive(Debug, Clone)]
pub(crate) enum Route<'a> {
    /// Any broker.
    Any,
    /// The leader of a partition.
    Leader(&'a str, i32),
    /// The coordinator of a group or a transaction.
    Coordinator(Coordinated, &'a str),
    /// This one.
    Broker(&'a str),
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any broker"),
            Self::Leader(topic, partition) => write!(f, "the leader of {topic}-{partition}"),
            Self::Coordinator(_, key) => write!(f, "the coordinator of {key:?}"),
            Self::Broker(address) => write!(f, "the broker at {address}"),
        }
    }
}

impl Cluster {
    /// The cluster that the brokers of `servers`, host and port with commas between, belong to.
    pub fn new(servers: &str, client: &str) -> Self {
        let client = StrBytes::from_string(client.to_owned());
        Self(Arc::new(Shared { servers: servers.to_owned(), client, known: Mutex::default() }))
    }

    pub async fn connect(&self, address: &str) -> KafkaResult<Connection> {
        Connection::open(address, &self.0.client).await
    }

    /// A connection to any broker.
    async fn connect_any(&self) -> KafkaResult<Connection> {
        let known: Vec<String> = self.0.known.lock().brokers.values().cloned().collect();
        let given = self.0.servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        let mut problem = "none is named".to_owned();
        for address in given.map(str::to_owned).chain(known) {
            match self.connect(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_passing() => problem = error.to_string(),
                Err(error) => return Err(error),
            }
        }
        Err(KafkaError::Unreachable { servers: self.0.servers.clone(), problem })
    }

    /// Asks for topics; all where none are named.
    async fn ask_topics(&self, topics: Option<&[String]>) -> KafkaResult<MetadataResponse> {
        let named = topics.map(|topics| {
            let name = |topic: &String| MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
            topics.iter().map(name).collect()
        });
        let request = MetadataRequest::default().with_topics(named).with_allow_auto_topic_creation(false);
        let answer = self.connect_any().await?.ask(&request).await?;
        let mut known = self.0.known.lock();
        known.brokers = answer.brokers.iter().map(|b| (b.node_id.0, format!("{}:{}", b.host, b.port))).collect();
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            let led = topic.partitions.iter().filter(|partition| partition.leader_id.0 >= 0);
            let leaders = led.map(|partition| (partition.partition_index, partition.leader_id.0)).collect();
            known.leaders.insert(name.to_string(), leaders);
        }
        drop(known);
        Ok(answer)
    }

    /// The partitions of topics; of all topics that the client may see where none are named.
    pub async fn topics(&self, topics: Option<&[String]>) -> KafkaResult<Vec<TopicMeta>> {
        let answer = self.ask_topics(topics).await?;
        let mut found = Vec::new();
        for topic in answer.topics {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            match ResponseError::try_from_code(topic.error_code) {
                None => {}
                Some(ResponseError::UnknownTopicOrPartition) => {
                    return Err(KafkaError::Unknown { what: format!("topic {name:?}") });
                }
                Some(_) => return Err(KafkaError::of_code(format!("to look at topic {name:?}"), topic.error_code)),
            }
            if topic.is_internal && topics.is_none() {
                continue;
            }
            let mut partitions: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            partitions.sort_unstable();
            found.push(TopicMeta { name, partitions });
        }
        Ok(found)
    }

    /// As [`topics`](Self::topics) with names, and again while it fails in a way that may pass. That a topic is not there may
    /// pass too, for a while: a broker hears of a new one later than who has made it.
    pub async fn find_topics(&self, topics: &[String], patience: Duration) -> KafkaResult<Vec<TopicMeta>> {
        let since = Instant::now();
        loop {
            match retrying(patience, async || self.topics(Some(topics)).await).await {
                Err(KafkaError::Unknown { .. }) if since.elapsed() < NEWS_PATIENCE.min(patience) => {
                    sleep(RETRY_DELAY).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// All brokers that are alive.
    pub async fn brokers(&self) -> KafkaResult<Vec<String>> {
        let answer = self.ask_topics(Some(&[])).await?;
        Ok(answer.brokers.iter().map(|broker| format!("{}:{}", broker.host, broker.port)).collect())
    }

    fn known_leader(&self, topic: &str, partition: i32) -> Option<String> {
        let known = self.0.known.lock();
        let leader = known.leaders.get(topic)?.get(&partition)?;
        known.brokers.get(leader).cloned()
    }

    /// The address of who leads a partition.
    pub async fn leader(&self, topic: &str, partition: i32) -> KafkaResult<String> {
        if let Some(leader) = self.known_leader(topic, partition) {
            return Ok(leader);
        }
        let found = self.find_topics(&[topic.to_owned()], NEWS_PATIENCE).await?;
        if !found.iter().any(|found| found.partitions.contains(&partition)) {
            return Err(KafkaError::Unknown { what: format!("partition {partition} of topic {topic:?}") });
        }
        self.known_leader(topic, partition).ok_or_else(|| KafkaError::Refused {
            what: format!("{topic}-{partition}"),
            code: "it has no leader for now".into(),
            again: true,
        })
    }

    /// What is known of leaders may be wrong.
    pub fn forget_leader(&self, topic: &str, partition: i32) {
        if let Some(leaders) = self.0.known.lock().leaders.get_mut(topic) {
            leaders.remove(&partition);
        }
    }

    async fn coordinator(&self, of: Coordinated, key: &str) -> KafkaResult<String> {
        let kind = match of {
            Coordinated::Group => 0,
            Coordinated::Transaction => 1,
        };
        let request =
            FindCoordinatorRequest::default().with_key(StrBytes::from_string(key.to_owned())).with_key_type(kind);
        let answer = self.connect_any().await?.ask(&request).await?;
        if answer.error_code != 0 {
            return Err(KafkaError::of_code(format!("to find the coordinator of {key:?}"), answer.error_code));
        }
        Ok(format!("{}:{}", answer.host, answer.port))
    }

    /// Where to send what goes by `route`.
    pub async fn find(&self, route: &Route<'_>) -> KafkaResult<Connection> {
        let address = match route {
            Route::Any => return self.connect_any().await,
            Route::Leader(topic, partition) => self.leader(topic, *partition).await?,
            Route::Coordinator(of, key) => self.coordinator(*of, key).await?,
            Route::Broker(address) => (*address).to_owned(),
        };
        self.connect(&address).await
    }

    /// Asks by `route`, and again while what comes back, or what `check` says of it, may pass; until `patience` is over.
    pub async fn ask<R: Request>(
        &self,
        route: Route<'_>,
        request: &R,
        patience: Duration,
        check: impl Fn(&R::Response) -> KafkaResult,
    ) -> KafkaResult<R::Response> {
        retrying(patience, async || {
            let asked = async {
                let answer = self.find(&route).await?.ask(request).await?;
                check(&answer).map(|()| answer)
            };
            let asked = asked.await;
            if let (Err(_), Route::Leader(topic, partition)) = (&asked, &route) {
                self.forget_leader(topic, *partition);
            }
            asked
        })
        .await
    }
}

/// Does `work`, and again while its error may pass, until `patience` is over.
pub(crate) async fn retrying<T, F: Future<Output = KafkaResult<T>>>(
    patience: Duration,
    mut work: impl FnMut() -> F,
) -> KafkaResult<T> {
    let until = Instant::now() + patience;
    let mut delay = RETRY_DELAY;
    loop {
        match work().await {
            Err(error) if error.is_passing() && Instant::now() + delay < until => {
                tracing::debug!(%error, "asking again");
            }
            outcome => return outcome,
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

pub(crate) fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// The id of who is no broker.
pub(crate) const NO_BROKER: BrokerId = BrokerId(-1);

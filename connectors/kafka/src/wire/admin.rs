//! Topics, for tests and examples.

use std::time::Duration;

use kafka_protocol::{
    ResponseError,
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};

use super::{Cluster, Route, block_on, cluster::topic_name};
use crate::error::{KafkaError, KafkaResult};

/// How long the cluster may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic that is to be.
#[derive(Debug, Clone)]
pub struct NewTopic {
    name: String,
    partitions: i32,
    replication: i16,
    settings: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with so many partitions, and as many replicas as the cluster makes by itself.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication: -1, settings: Vec::new() }
    }

    /// With a setting of its own, such as `retention.ms`.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }
}

/// Makes topics.
#[derive(Debug, Clone)]
pub struct Admin(Cluster);

impl Admin {
    /// Of the cluster of these brokers: host and port, with commas between.
    pub fn new(servers: &str) -> Self {
        Self(Cluster::new(servers, "flott-admin"))
    }

    /// Makes a topic; that there is one of this name is no error. Blocks.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, topic: &NewTopic) -> KafkaResult {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let setting = |(key, value): &(String, String)| {
            CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
        };
        let asked = CreatableTopic::default()
            .with_name(topic_name(&topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication)
            .with_configs(topic.settings.iter().map(setting).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        let exists = ResponseError::TopicAlreadyExists.code();
        let asked = self.0.ask(Route::Any, &request, PATIENCE, |answer| {
            match answer.topics.iter().find(|made| made.error_code != 0 && made.error_code != exists) {
                None => Ok(()),
                Some(made) => Err(KafkaError::of_code(format!("to make topic {:?}", topic.name), made.error_code)),
            }
        });
        block_on(asked).map(drop)
    }

    /// Gives a topic more partitions, `partitions` in all. Blocks.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn extend(&self, topic: &str, partitions: i32) -> KafkaResult {
        let asked =
            CreatePartitionsTopic::default().with_name(topic_name(topic)).with_count(partitions).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        let asked = self.0.ask(Route::Any, &request, PATIENCE, |answer| {
            match answer.results.iter().find(|made| made.error_code != 0) {
                None => Ok(()),
                Some(made) => Err(KafkaError::of_code(format!("to extend topic {topic:?}"), made.error_code)),
            }
        });
        block_on(asked).map(drop)
    }
}

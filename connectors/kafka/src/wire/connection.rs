//! One request at a time over one connection.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, ApiVersionsRequest, RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::error::{KafkaError, KafkaResult};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Until an answer has come, beyond what the broker was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// More than an answer may have.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// The newest version of each request that this client speaks. Later ones name topics by ids (`Fetch`, `Produce`), ask for
/// several coordinators at once, or are those of KIP-890's transactions.
fn newest(key: ApiKey) -> i16 {
    match key {
        ApiKey::Produce => 10,
        ApiKey::Fetch => 12,
        ApiKey::ListOffsets => 7,
        ApiKey::Metadata => 12,
        ApiKey::OffsetCommit => 8,
        ApiKey::OffsetFetch => 7,
        ApiKey::FindCoordinator => 3,
        ApiKey::ApiVersions => 3,
        ApiKey::InitProducerId => 4,
        ApiKey::AddPartitionsToTxn => 3,
        ApiKey::EndTxn => 3,
        ApiKey::CreateTopics => 7,
        ApiKey::CreatePartitions => 3,
        ApiKey::ListTransactions => 1,
        _ => 0,
    }
}

/// A connection to one broker. After an error it is of no use any more.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    address: String,
    client: StrBytes,
    number: i32,
    /// The newest versions that the broker speaks, by key.
    versions: Vec<(i16, i16, i16)>,
}

impl Connection {
    /// Connects, and hears what the broker speaks.
    pub async fn open(address: &str, client: &StrBytes) -> KafkaResult<Self> {
        let connect = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = connect
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| KafkaError::broken(address, &error))?;
        let own = (ApiKey::ApiVersions as i16, 0, newest(ApiKey::ApiVersions));
        let mut connection =
            Self { stream, address: address.to_owned(), client: client.clone(), number: 0, versions: vec![own] };
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("flott"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = connection.ask(&request).await?;
        if answer.error_code != 0 {
            return Err(KafkaError::of_code("which versions it speaks", answer.error_code));
        }
        connection.versions =
            answer.api_keys.iter().map(|key| (key.api_key, key.min_version, key.max_version)).collect();
        Ok(connection)
    }

    /// The version of a request that both sides speak.
    fn version(&self, key: ApiKey) -> KafkaResult<i16> {
        let spoken = self.versions.iter().find(|(of, ..)| *of == key as i16);
        spoken
            .map(|(_, oldest, theirs)| (*oldest, newest(key).min(*theirs)))
            .filter(|(oldest, common)| oldest <= common)
            .map(|(_, common)| common)
            .ok_or_else(|| KafkaError::Version { address: self.address.clone(), what: name(key) })
    }

    /// Asks, and waits for the answer.
    pub async fn ask<R: Request>(&mut self, request: &R) -> KafkaResult<R::Response> {
        self.ask_patiently(request, Duration::ZERO).await
    }

    /// As [`ask`](Self::ask), where the broker may wait for so long before it answers.
    pub async fn ask_patiently<R: Request>(&mut self, request: &R, wait: Duration) -> KafkaResult<R::Response> {
        let malformed = |what: &str, problem: String| KafkaError::Malformed { what: what.to_owned(), problem };
        let key = ApiKey::try_from(R::KEY).map_err(|()| malformed("a request", format!("it has key {}", R::KEY)))?;
        let version = self.version(key)?;
        self.number = self.number.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.number)
            .with_client_id(Some(self.client.clone()));
        let mut frame = BytesMut::from(&[0; 4][..]);
        let encoded = header.encode(&mut frame, R::header_version(version));
        encoded
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|problem| malformed(name(key), problem.to_string()))?;
        let length = i32::try_from(frame.len() - 4).map_err(|problem| malformed(name(key), problem.to_string()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());

        let exchange = timeout(ANSWER_TIMEOUT + wait, exchange(&mut self.stream, &frame)).await;
        let mut answer = exchange
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| KafkaError::broken(&self.address, &error))?;
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut answer, header_version)
            .map_err(|problem| malformed("the head of an answer", problem.to_string()))?;
        if header.correlation_id != self.number {
            return Err(malformed("an answer", "it is none to what was asked".into()));
        }
        R::Response::decode(&mut answer, version)
            .map_err(|problem| malformed(&format!("the answer to {}", name(key)), problem.to_string()))
    }
}

async fn exchange(stream: &mut TcpStream, frame: &[u8]) -> io::Result<Bytes> {
    stream.write_all(frame).await?;
    let length = stream.read_i32().await?;
    let length = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer is too long; is this a broker?"))?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer.into())
}

fn name(key: ApiKey) -> &'static str {
    match key {
        ApiKey::Produce => "Produce",
        ApiKey::Fetch => "Fetch",
        ApiKey::ListOffsets => "ListOffsets",
        ApiKey::Metadata => "Metadata",
        ApiKey::OffsetCommit => "OffsetCommit",
        ApiKey::OffsetFetch => "OffsetFetch",
        ApiKey::FindCoordinator => "FindCoordinator",
        ApiKey::ApiVersions => "ApiVersions",
        ApiKey::InitProducerId => "InitProducerId",
        ApiKey::AddPartitionsToTxn => "AddPartitionsToTxn",
        ApiKey::EndTxn => "EndTxn",
        ApiKey::CreateTopics => "CreateTopics",
        ApiKey::CreatePartitions => "CreatePartitions",
        ApiKey::ListTransactions => "ListTransactions",
        ApiKey::DescribeTransactions => "DescribeTransactions",
        _ => "a request",
    }
}

//! `/metrics` as HTTP has it.

use std::io::Read;

use flate2::read::GzDecoder;
use flott_core::metrics::{Format, ReadFamily, read};
use reqwest::{Method, StatusCode, header::HeaderMap};

use crate::{
    cluster::{Cluster, job},
    worker::Tasks,
};

impl Cluster {
    async fn metrics(&self, method: Method, headers: &[(&'static str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = self.client.request(method, self.url("/metrics"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.headers().clone(), response.bytes().await.unwrap().to_vec())
    }

    async fn collected(&self, headers: &[(&'static str, &str)], format: Format) -> (HeaderMap, Vec<ReadFamily>) {
        let (status, headers, body) = self.metrics(Method::GET, headers).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, format.content_type()));
        let mut text = String::new();
        if headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
            GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(body).unwrap();
        }
        (headers, read(&text, format).unwrap_or_else(|error| panic!("{error}\n{text}")))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_is_the_one_that_is_accepted() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("127.0.0.1:tm1", Tasks::Run).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let (headers, plain) = cluster.collected(&[], Format::Prometheus).await;
    assert_eq!(
        (headers.get("content-encoding"), headers["vary"].as_bytes()),
        (None, "accept, accept-encoding".as_bytes())
    );
    let names = |families: &[ReadFamily]| families.iter().map(|family| family.name.clone()).collect::<Vec<_>>();
    let records = plain.iter().find(|family| family.name == "flott_taskmanager_job_task_numRecordsIn").unwrap();
    assert_eq!(records.samples.iter().map(|sample| sample.value).collect::<Vec<_>>(), [3.0; 4]);
    let (headers, gzip) = cluster.collected(&[("accept-encoding", "gzip")], Format::Prometheus).await;
    assert_eq!((headers["content-encoding"].to_str().unwrap(), names(&gzip)), ("gzip", names(&plain)));
    let open_metrics = [("accept", "application/openmetrics-text;version=1.0.0"), ("accept-encoding", "gzip")];
    let (_, open_metrics) = cluster.collected(&open_metrics, Format::OpenMetrics).await;
    assert_eq!(names(&open_metrics), names(&plain));

    let (status, headers, body) = cluster.metrics(Method::HEAD, &[]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-type"], Format::Prometheus.content_type());
    assert!(!cluster.metrics(Method::POST, &[]).await.0.is_success());
    assert_eq!(cluster.metrics(Method::GET, &[("host", "evil.example")]).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_token_is_told_to() {
    let cluster =
        Cluster::start_with(&[("security.token", "0123456789"), ("security.metrics-token", "only-metrics")]).await;
    let (status, headers, body) = cluster.metrics(Method::GET, &[]).await;
    assert_eq!((status, headers["www-authenticate"].to_str().unwrap()), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert!(String::from_utf8(body).unwrap().contains("token"));
    cluster.collected(&[("authorization", "Bearer only-metrics")], Format::Prometheus).await;
    cluster.collected(&[("authorization", "Bearer 0123456789")], Format::Prometheus).await;
}

//! Bodies that no sound client sends.

use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::cluster::Cluster;

/// Sends raw bytes, and returns all that comes back; `cut` closes the connection's own half after the last byte.
async fn raw(cluster: &Cluster, head: &str, body: &[u8], cut: bool) -> String {
    let mut stream = TcpStream::connect(cluster.manager.address()).await.unwrap();
    let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may have answered and closed before it has read all.
    let _ = stream.write_all(body).await;
    if cut {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=B\r\n";

fn uploads_left(cluster: &Cluster) -> usize {
    std::fs::read_dir(cluster.state.path().join("blobs")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_refused() {
    let cluster = Cluster::start().await;
    let part = "--B\r\nContent-Disposition: form-data; name=\"file_0\"; filename=\"g\"\r\n\r\nhalf a graph";
    let body = format!("{MULTIPART}Content-Length: {}\r\n\r\n{part}", part.len());
    let answer = raw(&cluster, "POST /jobs HTTP/1.1", body.as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("damaged"), "{answer}");
    let short = format!("{MULTIPART}Content-Length: 100000\r\n\r\n{part}");
    let answer = raw(&cluster, "POST /jobs HTTP/1.1", short.as_bytes(), true).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    // The half upload goes once the server has noticed that nobody sends the rest.
    let gone = async {
        while uploads_left(&cluster) > 0 {
            cluster.get("/overview").await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.expect("nothing is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_boundary_is_refused() {
    let cluster = Cluster::start().await;
    let part = "--OTHER\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{}\r\n--OTHER--\r\n";
    for kind in [MULTIPART, "Content-Type: multipart/form-data\r\n"] {
        let body = format!("{kind}Content-Length: {}\r\n\r\n{part}", part.len());
        let answer = raw(&cluster, "POST /jobs HTTP/1.1", body.as_bytes(), false).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_upload_is_refused_and_leaves_nothing() {
    let cluster = Cluster::start_with(&[("rest.server.max-content-length", "64 kb")]).await;
    let form = crate::cluster::submission(vec![b'x'; 40_000], vec![b'y'; 40_000]);
    let (status, answer) = cluster.post("/jobs", form).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    let digest = flott_core::id::Digest::of(b"");
    let url = cluster.url(&format!("/flott/v1/blobs/{digest}"));
    let response = cluster.client.put(&url).body(vec![0; 70_000]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(uploads_left(&cluster), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_json_body_is_refused() {
    let cluster = Cluster::start().await;
    let url = cluster.url("/jars/x_y/run");
    let response = cluster.client.post(&url).body(vec![b' '; 5 << 20]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = cluster.client.post(cluster.url("/jobs")).body(vec![b' '; 5 << 20]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let answer = response.text().await.unwrap();
    assert!(answer.contains("4194304 bytes that JSON may have") && !answer.contains("max-content-length"), "{answer}");
    cluster.get("/overview").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_parts_are_refused() {
    let cluster = Cluster::start().await;
    let form = (0..40).fold(reqwest::multipart::Form::new(), |form, n| form.text(format!("part{n}"), "x"));
    let (status, answer) = cluster.post("/jobs", form).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_on_the_port_harms_nobody() {
    let cluster = Cluster::start().await;
    for noise in ["\0\0\0\0", "GET", "GET / HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}TLS?"] {
        raw(&cluster, noise, b"\r\n", true).await;
    }
    cluster.get("/overview").await;
}

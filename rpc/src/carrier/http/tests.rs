use tokio::net::TcpListener;

use super::*;

const UPGRADE: Upgrade<'static> = Upgrade {
    path: "/flott/v1/control",
    protocol: "flott-control/1",
    token: Some("secret"),
    timeout: Duration::from_secs(30),
};

/// A server that reads one request head, gives one answer and ends; and what it read.
async fn answered(answer: &'static [u8]) -> (Result<Prefixed<TcpStream>, ConnectError>, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = BytesMut::new();
        while response::head_length(&request).is_none() {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(request.to_vec()).unwrap()
    });
    let result = connect(&addr, &UPGRADE).await;
    (result, server.await.unwrap(), addr)
}

#[track_caller]
fn check_error(result: Result<Prefixed<TcpStream>, ConnectError>, addr: &str, expected: &str) {
    assert_eq!(result.unwrap_err().to_string(), expected.replace("ADDR", addr));
}

#[tokio::test]
async fn bytes_behind_the_response_head_are_not_lost() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: Flott-Control/1\r\n\r\nhello";
    let (stream, request, addr) = answered(answer).await;
    let mut text = String::new();
    stream.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    assert_eq!(
        request,
        format!(
            "GET /flott/v1/control HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: flott-control/1\r\n\
             Authorization: Bearer secret\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn a_refusal_shows_its_status_and_body() {
    let (result, _, addr) =
        answered(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 21\r\n\r\n{\"errors\":[\"token?\"]}and more").await;
    check_error(result, &addr, "ADDR refused to speak flott-control/1: status 401: {\"errors\":[\"token?\"]}");
    let (result, _, addr) = answered(b"HTTP/1.1 503 Busy\r\n\r\n").await;
    check_error(result, &addr, "ADDR refused to speak flott-control/1: status 503");
}

#[tokio::test]
async fn other_servers_are_told_apart() {
    let (result, _, addr) = answered(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n").await;
    check_error(
        result,
        &addr,
        "ADDR did not answer as an HTTP server should: it switches to \"websocket\", not to \"flott-control/1\"",
    );
    let (result, _, addr) = answered(b"HTTP/1.1 101 Yes\r\n\r\n").await;
    check_error(
        result,
        &addr,
        "ADDR did not answer as an HTTP server should: it does not name the protocol that it switches to",
    );
    let (result, _, addr) = answered(b"HTTP/1.1 2").await;
    check_error(
        result,
        &addr,
        "ADDR did not answer as an HTTP server should: the connection ended within its response head",
    );
}

#[tokio::test]
async fn an_endless_response_head_is_cut_off() {
    let (client, mut server) = tokio::io::duplex(4096);
    let endless = tokio::spawn(async move { while server.write_all(b"x: y\r\n").await.is_ok() {} });
    let error = over(client, "here:1", &UPGRADE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "here:1 did not answer as an HTTP server should: its response head is longer than 16384 bytes"
    );
    endless.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let (client, _server) = tokio::io::duplex(4096);
    let error = over(client, "here:1", &UPGRADE).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to here:1: no answer within 30s");
}

#[tokio::test]
async fn line_breaks_cannot_smuggle_headers() {
    for upgrade in [
        Upgrade { path: "/a\r\nX: y", ..UPGRADE },
        Upgrade { protocol: "a b", ..UPGRADE },
        Upgrade { token: Some("a\nb"), ..UPGRADE },
        Upgrade { path: "", ..UPGRADE },
    ] {
        let (client, _server) = tokio::io::duplex(4096);
        let error = over(client, "here:1", &upgrade).await.unwrap_err();
        assert!(matches!(error, ConnectError::Request { .. }), "{error}");
        assert!(!error.to_string().contains("a\\nb"), "{error}");
    }
}

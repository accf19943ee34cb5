//! A JobManager that stands by passes every request on to the one that leads, control connections of TaskManagers included: so each
//! of a cluster's JobManagers is as good an address as any other.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use flott_rpc::tls::{self, Connector};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{Rest, RestError};

/// How long a request may wait for a leader that can be reached. A client that has to wait longer is told, and may ask again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to connect may take, and how long it is waited before a leader that could not be reached is tried again.
const CONNECT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);
/// How often a request was passed on, and how often it may be: who thinks that another leads may be wrong for a moment, but not in
/// circles for long.
const PASSED_ON: HeaderName = HeaderName::from_static("flott-passed-on");
const PASSES_MAX: u16 = 3;

/// Passes a request on, if another one leads.
pub(super) async fn pass_on(State(context): Rest, request: Request, next: Next) -> Response {
    let passes = passes(&request);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let Some(leader) = context.dispatcher.stands_by() else { return next.run(request).await };
        let why = match leader {
            None => "no JobManager leads at the moment".to_owned(),
            Some(leader) if passes >= PASSES_MAX => format!("this JobManager stands by, and {leader} leads"),
            Some(leader) => match timeout_at(Instant::now() + CONNECT, connect(&leader, context.leader.as_ref())).await
            {
                Ok(Ok(connection)) => return passed(connection, &leader, request).await,
                Ok(Err(error)) => format!("the JobManager that leads, at {leader}, cannot be reached: {error}"),
                Err(_) => format!("the JobManager that leads, at {leader}, does not answer"),
            },
        };
        if Instant::now() + AGAIN > deadline {
            return RestError::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        }
        tokio::select! {
            () = context.dispatcher.stands_otherwise() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

fn passes(request: &Request) -> u16 {
    let passes = request.headers().get(PASSED_ON).and_then(|passes| passes.to_str().ok()?.parse().ok());
    passes.unwrap_or(0)
}

async fn connect(leader: &str, tls: Option<&Connector>) -> std::io::Result<SendRequest<Body>> {
    let stream = TcpStream::connect(leader).await?;
    stream.set_nodelay(true)?;
    let stream = tls::stream(tls, leader, stream).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the JobManager that leads ended with an error");
        }
    });
    Ok(sender)
}

/// The answer of the one that leads.
async fn passed(mut connection: SendRequest<Body>, leader: &str, mut request: Request) -> Response {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the JobManager that leads, at {leader}, did not answer: {error}");
        RestError::new(StatusCode::BAD_GATEWAY, message).into_response()
    };
    let Ok(host) = HeaderValue::from_str(leader) else { return failed(&"its address is no host") };
    request.headers_mut().insert(header::HOST, host);
    let passes = passes(&request).saturating_add(1);
    request.headers_mut().insert(PASSED_ON, HeaderValue::from(passes));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    match path.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(error) => return failed(&error),
    }
    let of_client = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    let mut response = match connection.send_request(request).await {
        Ok(response) => response,
        Err(error) => return failed(&error),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(of_client) = of_client
    {
        let of_leader = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (client, leader) = match tokio::try_join!(of_client, of_leader) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "a connection was not upgraded on both sides"),
            };
            let (mut client, mut leader) = (TokioIo::new(client), TokioIo::new(leader));
            // However it ends, both ends are closed then.
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut leader).await {
                tracing::debug!(%error, "a connection that was passed on has broken");
            }
        });
    }
    response.map(Body::new)
}

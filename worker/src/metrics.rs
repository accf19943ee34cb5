//! `/metrics` of the TaskManager itself, on a port of its own.
//!
//! The mailbox is asked which processes there are; what they take is read by whoever answers. A TaskManager whose port is taken works without:
//! metrics keep no job from running.
//!
//! # Layout
//! - `access`: who may ask; `text`: from figures to families

mod access;
mod text;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use flott_core::{
    config::PortRange,
    id::{JobId, WorkerId},
    metrics::Format,
};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use crate::service::Input;
use access::Access;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take to send the head of a request, and how long an idle connection is kept: longer than collectors pause.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// How long the mailbox may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that the process has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
const PATH: &str = "/metrics";

/// Where a TaskManager serves its metrics.
#[derive(Debug, Clone)]
pub struct MetricsOptions {
    /// Address on which it listens.
    pub bind: IpAddr,
    /// The first of these ports that is free.
    pub ports: PortRange,
    /// Opens `/metrics`, as the cluster's token does; where there is none of that, none is asked for.
    pub token: Option<String>,
}

/// What the mailbox knows.
#[derive(Debug)]
pub(crate) struct Figures {
    pub is_registered: bool,
    pub slots: usize,
    pub allocated: usize,
    /// CPU time of processes that have ended.
    pub ended_cpu: Duration,
    /// Processes by job.
    pub processes: Vec<(JobId, u32)>,
}

/// Who is asked about.
#[derive(Debug, Clone)]
struct Subject {
    worker: WorkerId,
    host: String,
    memory: u64,
}

/// The endpoint of a TaskManager, bound and not served yet.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: std::net::TcpListener,
    answering: Arc<Answering>,
}

#[derive(Debug)]
struct Answering {
    access: Access,
    subject: Subject,
    mailbox: mpsc::Sender<Input>,
}

impl Endpoint {
    /// Binds it, if it is wanted and there is a port.
    pub fn bind(options: &crate::Options, mailbox: &mpsc::Sender<Input>) -> Option<Self> {
        let metrics = options.metrics.as_ref()?;
        let listener = match listen(metrics.bind, metrics.ports) {
            Ok(listener) => listener,
            Err(error) => {
                let ports = (metrics.ports.first, metrics.ports.last);
                tracing::error!(%error, bind = %metrics.bind, ?ports, "metrics are not served: set taskmanager.metrics.port");
                return None;
            }
        };
        let subject = Subject { worker: options.worker.clone(), host: options.host.clone(), memory: options.memory };
        let access = Access::new(metrics.bind, options.token.clone(), metrics.token.clone());
        Some(Self { listener, answering: Arc::new(Answering { access, subject, mailbox: mailbox.clone() }) })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let address = self.address();
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "metrics are not served"),
        };
        if let Ok(address) = address {
            tracing::info!(%address, "metrics are served");
        }
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Dropped with this, and then all of them end.
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone().acquire_owned().await;
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answering = self.answering.clone();
                    connections.spawn(async move {
                        answering.connection(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// The first free port of a range.
fn listen(bind: IpAddr, ports: PortRange) -> io::Result<std::net::TcpListener> {
    let mut port = ports.first;
    loop {
        match std::net::TcpListener::bind((bind, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port < ports.last => port += 1,
            bound => {
                let listener = bound?;
                listener.set_nonblocking(true)?;
                return Ok(listener);
            }
        }
    }
}

impl Answering {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let answer = service_fn(move |request| {
            let answering = self.clone();
            async move { Ok::<_, std::convert::Infallible>(answering.answer(&request).await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), answer);
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection for metrics ended with an error");
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        if let Err((status, why)) = self.access.check(request.headers()) {
            let mut refused = plain(status, why);
            if status == StatusCode::UNAUTHORIZED {
                refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            return refused;
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, PATH) => {}
            (_, PATH) => return plain(StatusCode::METHOD_NOT_ALLOWED, "it can be read, and nothing else\n"),
            _ => return plain(StatusCode::NOT_FOUND, "there is /metrics, and nothing else\n"),
        }
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept);
        let Some(figures) = self.figures().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the TaskManager is busy, or ends\n");
        };
        let subject = self.subject.clone();
        let Ok(text) = spawn_blocking(move || text::written(&subject, &figures, format)).await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the text could not be written\n");
        };
        let mut response = Response::new(text);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        response
    }

    async fn figures(&self) -> Option<Figures> {
        let (answer, figures) = oneshot::channel();
        let asked = async {
            self.mailbox.send(Input::Figures(answer)).await.ok()?;
            figures.await.ok()
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }
}

fn plain(status: StatusCode, why: &str) -> Response<String> {
    let mut response = Response::new(why.to_owned());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_port_of_a_range_is_taken() {
        let bind = IpAddr::from([127, 0, 0, 1]);
        let one = listen(bind, PortRange { first: 0, last: 0 }).unwrap();
        let taken = one.local_addr().unwrap().port();
        assert_eq!(listen(bind, PortRange { first: taken, last: taken }).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let next = listen(bind, PortRange { first: taken, last: taken.saturating_add(200) }).unwrap();
        assert_ne!(next.local_addr().unwrap().port(), taken);
    }
}

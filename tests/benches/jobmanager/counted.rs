//! A stretch of the way to the API server on which requests about pods are counted, whoever in a process sends them.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Requests that were sent.
#[derive(Debug, Default)]
pub struct Counts {
    pub creates: AtomicU64,
    pub deletes: AtomicU64,
    pub watches: AtomicU64,
    pub others: AtomicU64,
    gone: Mutex<BTreeSet<String>>,
}

impl Counts {
    /// Pods whose deletion was asked for.
    pub fn deleted(&self) -> usize {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn note(&self, request: &Request) {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        if *request.method() == Method::DELETE {
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).insert(request.uri().path().to_owned());
        }
        let count = match *request.method() {
            Method::POST => &self.creates,
            Method::DELETE => &self.deletes,
            _ if is_watch => &self.watches,
            _ => &self.others,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

type Way = (Client, Arc<Counts>);

async fn forward(State((client, counts)): State<Way>, request: Request) -> Response {
    counts.note(&request);
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let mut request = axum::http::Request::new(kube::client::Body::from(body.to_vec()));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = parts.headers;
    match client.send(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Opens it, and writes a kubeconfig that leads over it.
pub async fn open(kubeconfig: &Path, counted: &Path) -> anyhow::Result<Arc<Counts>> {
    let config = Kubeconfig::read_from(kubeconfig)?;
    let client = Client::try_from(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?)?;
    let counts = Arc::new(Counts::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr().context("no address")?;
    fs::write(
        counted,
        format!(
            "{{apiVersion: v1, kind: Config, clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}], users: [{{name: a, user: \
             {{}}}}], contexts: [{{name: a, context: {{cluster: a, user: a}}}}], current-context: a}}"
        ),
    )?;
    let router = Router::new().fallback(forward).with_state((client, counts.clone()));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("requests are not passed on: {error}");
        }
    });
    Ok(counts)
}

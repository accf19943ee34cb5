//! Control connections: from an HTTP request to the end of the connection.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use flott_core::{
    config::keys::cluster,
    id::WorkerKey,
    message::{CONTROL_PROTOCOL, FromWorker, Registration, ToWorker},
};
use flott_rpc::{Connection, Event, Incoming, Options};
use hyper_util::rt::TokioIo;

use super::{Control, Outgoing};
use crate::rest::{Context, RestError};

/// How long a new connection may take to introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// Switches the connection to the control protocol.
pub(crate) async fn upgrade(State(context): State<Arc<Context>>, mut request: Request) -> Result<Response, RestError> {
    let protocol = request.headers().get(header::UPGRADE).and_then(|protocol| protocol.to_str().ok());
    if !protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(CONTROL_PROTOCOL)) {
        let asked = protocol.map_or_else(|| "nothing".to_owned(), |protocol| format!("{protocol:?}"));
        return Err(RestError::new(
            StatusCode::UPGRADE_REQUIRED,
            format_args!("this path speaks {CONTROL_PROTOCOL:?} after an upgrade, and {asked} was asked for"),
        ));
    }
    context.dispatcher.ready().await?;
    let upgraded = hyper::upgrade::on(&mut request);
    let options = Options {
        ping_interval: context.configuration.get(&cluster::HEARTBEAT_INTERVAL),
        idle_timeout: context.configuration.get(&cluster::HEARTBEAT_TIMEOUT),
        ..Options::default()
    };
    let control = context.control.clone();
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => {
                let (sender, incoming) = Connection::start(TokioIo::new(upgraded), options);
                control.serve(sender, incoming).await;
            }
            Err(error) => tracing::debug!(%error, "a control connection was not upgraded"),
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, CONTROL_PROTOCOL)
        .body(Body::empty());
    response.map_err(RestError::internal)
}

impl Control {
    /// Serves one connection until it closes.
    pub(crate) async fn serve(&self, sender: Outgoing, mut incoming: Incoming<ToWorker, FromWorker>) {
        let Some(registration) = introduction(&sender, &mut incoming).await else { return };
        let worker = WorkerKey { worker: registration.worker.clone(), instance: registration.instance };
        let Some(resources) = self.resources().cloned() else {
            sender.close("the JobManager is not ready");
            return;
        };
        let (number, again) = self.connected(&worker, sender.clone());
        tracing::info!(%worker, connection = number.0, again, "worker connected");
        let mut told = resources.worker_registered(registration, number).await;
        for master in self.masters() {
            // Also on a first connection to this life: JobMasters that do not know the worker do not mind.
            master.worker_resumed(worker.clone());
        }
        let mut reason = "the JobManager is ending".to_owned();
        while told.is_ok() {
            match incoming.next().await {
                Some(Event::Message(FromWorker::Register(_))) => {
                    sender.close("a worker registers once on each connection");
                }
                Some(Event::Message(FromWorker::Job { job, epoch, message })) => {
                    self.route(&worker, job, epoch, message).await;
                }
                Some(Event::Message(message)) => told = resources.from_worker(worker.clone(), message).await,
                Some(Event::Request(..)) => {
                    // Dropped without an answer, which refuses it: this protocol has no calls.
                }
                Some(Event::Closed(why)) => {
                    reason = why.to_string();
                    break;
                }
                None => break,
            }
        }
        self.disconnected(&worker, number);
        tracing::info!(%worker, connection = number.0, %reason, "worker disconnected");
        if resources.connection_lost(worker, number, reason).await.is_err() {
            tracing::debug!("the ResourceManager has ended before a connection");
        }
    }
}

/// The first message, which must be a registration and come soon.
async fn introduction(sender: &Outgoing, incoming: &mut Incoming<ToWorker, FromWorker>) -> Option<Registration> {
    match tokio::time::timeout(INTRODUCTION, incoming.next()).await {
        Ok(Some(Event::Message(FromWorker::Register(registration)))) => return Some(registration),
        Ok(Some(Event::Closed(reason))) => tracing::debug!(%reason, "a control connection closed before it registered"),
        Ok(Some(_)) => sender.close("the first message must be a registration"),
        Ok(None) => {}
        Err(_) => sender.close("no registration came in time"),
    }
    None
}

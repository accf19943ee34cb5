//! Control connections: from an HTTP request to the end of the connection.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use flott_core::{
    codec,
    config::keys::cluster,
    message::{CONTROL_PROTOCOL, FromWorker, Opening},
};
use flott_rpc::{
    Connection, Event, Incoming, Options,
    session::{Link, Packet},
};
use hyper_util::rt::TokioIo;

use super::{Control, sessions::Opened};
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
                let (link, incoming) = Connection::start(TokioIo::new(upgraded), options.clone());
                control.serve(link, incoming, options).await;
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
    async fn serve(&self, link: Link, mut incoming: Incoming<Packet, Packet>, options: Options) {
        let Some(opening) = introduction(&link, &mut incoming).await else { return };
        let Some((leader, resources)) = self.inner.resources.get().cloned() else {
            link.close("the JobManager is not ready");
            return;
        };
        let worker = opening.worker.clone();
        let opened = self.inner.sessions.lock().open(leader, &opening, &link, &options);
        let (number, _turn) = match opened {
            Opened::Begun(number, turn) => (number, turn),
            Opened::Over => return tracing::info!(%worker, "a worker was told that its session is over"),
            Opened::Waits(turn) => {
                let turn = turn.lock_owned().await;
                let Some(number) = self.inner.sessions.lock().resume(&opening, &link) else { return };
                (number, turn)
            }
        };
        let again = opening.session == Some(leader);
        tracing::info!(%worker, connection = number.0, again, "worker connected");
        let mut told = if again { resources.worker_resumed(worker.clone(), number).await } else { Ok(()) };
        let mut reason = "the JobManager is ending".to_owned();
        while told.is_ok() {
            let packet = match incoming.next().await {
                Some(Event::Message(packet)) => packet,
                // Dropped without an answer, which refuses it: this protocol has no calls.
                Some(Event::Request(..)) => continue,
                Some(Event::Closed(why)) => {
                    reason = why.to_string();
                    break;
                }
                None => break,
            };
            let received = self.inner.sessions.lock().receive(&worker, number, packet);
            match received {
                None => {
                    "its session is over".clone_into(&mut reason);
                    break;
                }
                Some(None) => {}
                Some(Some(FromWorker::Register(registration))) => {
                    told = resources.worker_registered(registration, number).await;
                }
                Some(Some(FromWorker::Job { job, epoch, message })) => self.route(&worker, job, epoch, message).await,
                Some(Some(message)) => told = resources.from_worker(worker.clone(), message).await,
            }
        }
        self.inner.sessions.lock().disconnected(&worker, number);
        tracing::info!(%worker, connection = number.0, %reason, "worker disconnected");
        if resources.connection_lost(worker, number, reason).await.is_err() {
            tracing::debug!("the ResourceManager has ended before a connection");
        }
    }
}

/// The first packet, which must be an opening and come soon.
async fn introduction(link: &Link, incoming: &mut Incoming<Packet, Packet>) -> Option<Opening> {
    match tokio::time::timeout(INTRODUCTION, incoming.next()).await {
        Ok(Some(Event::Message(Packet::Open(opening)))) => match codec::decode(&opening) {
            Ok(opening) => return Some(opening),
            Err(error) => link.close(&format!("the opening cannot be read: {error}")),
        },
        Ok(Some(Event::Closed(reason))) => tracing::debug!(%reason, "a control connection closed before it was opened"),
        Ok(Some(_)) => link.close("the first packet must be an opening"),
        Ok(None) => {}
        Err(_) => link.close("no opening came in time"),
    }
    None
}

//! The way to an API server that is lost: what is sent is swallowed, and nobody hangs up.

use std::{net::SocketAddr, time::Instant};

use flott_resource_manager::backend::{BackendEvent, Rejection};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::world::{Namespace, delayed, options, own, started, timely};

/// A stretch of network. What a connection has lost it never gets again, as when somebody between has forgotten it.
struct Network {
    address: SocketAddr,
    /// Odd while everything is swallowed. Connections of an earlier number stay lost.
    weather: watch::Sender<u32>,
}

impl Network {
    async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, weather) = (listener.local_addr().unwrap(), watch::Sender::new(0));
        let sky = weather.subscribe();
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let (mut sky, target) = (sky.clone(), target.clone());
                let number = *sky.borrow_and_update();
                tokio::spawn(async move {
                    if number % 2 == 0 {
                        let there = TcpStream::connect(target).await.unwrap();
                        let ((from, to), (back, forth)) = (here.into_split(), there.into_split());
                        let both =
                            async { tokio::join!(carry(from, forth, &sky, number), carry(back, to, &sky, number)) };
                        both.await;
                    } else {
                        carry(here, tokio::io::sink(), &sky, number).await;
                    }
                });
            }
        });
        Self { address, weather }
    }

    fn changes(&self) {
        self.weather.send_modify(|number| *number += 1);
    }
}

/// Passes on for as long as the weather is that of its beginning, which was fine.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    sky: &watch::Receiver<u32>,
    number: u32,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let is_lost = *sky.borrow() != number;
        if !is_lost && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    if *sky.borrow() == number {
        let _ = to.shutdown().await; // who is gone needs no word
    } else {
        std::future::pending::<()>().await;
    }
}

// The network runs on while kubectl is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_whose_packets_are_lost_is_told_and_found_again() {
    let Some(cluster) = own("an_api_server_whose_packets_are_lost_is_told_and_found_again", options(1)) else { return };
    let here = Namespace::new(cluster, "network");
    let network = Network::before(here.cluster.server().replace("https://", "")).await;
    let config = here.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
    let config = config.replace(&here.cluster.server(), &format!("https://{}", network.address));
    let file = here.cluster.directory().join("network.kubeconfig");
    std::fs::write(&file, config).unwrap();
    let file = format!("kubernetes.config.file={}", file.display());
    let mut bench = here.bench(&[&file, "kubernetes.request.timeout=2 s"]).await;
    bench.start("a");
    started(&mut bench, "a").await;

    network.changes();
    bench.start("b");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!(rejection, Rejection::Unreachable);
    assert!(message.contains("the API server is not reached: no answer within 2 s"), "{message}");
    let pod = here.pod();
    here.kubectl(&["delete", "pod", &pod]);

    network.changes();
    let since = Instant::now();
    let mut seen = Vec::new();
    timely("the start of one, and the loss of the other", async {
        while seen.len() < 2 {
            match bench.next().await {
                BackendEvent::Delayed { .. } => {}
                event => seen.push((since.elapsed(), format!("{event:?}"))),
            }
        }
    })
    .await;
    println!("after the packets flow again: {seen:.1?}");
    seen.sort_by(|(_, one), (_, other)| one.cmp(other));
    assert!(seen[0].1.contains("Lost") && seen[0].1.contains("\"a\""), "{seen:?}");
    assert!(seen[1].1.contains("Started") && seen[1].1.contains("\"b\""), "{seen:?}");
    assert_eq!(bench.listed().await, ["b"]);
}

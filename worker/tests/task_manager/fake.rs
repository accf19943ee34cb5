//! A JobManager of the tests' own: takes control connections, serves blobs, and does what the test says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use flott_core::{
    id::{
        AllocationId, Digest, JobId, JobMasterEpoch, JobSecret, LeaderEpoch, MessageNumber, ProcessId, SlotIndex,
        WorkerId,
    },
    message::{
        BLOB_PATH, CONTROL_PATH, FromWorker, JobSetup, JobToWorker, Opening, ProcessLocation, Registration, SlotGrant,
        ToWorker, Welcome, WorkerToJob,
    },
    resource::ResourceProfile,
};
use flott_rpc::{
    Connection, Event, Incoming, Options as RpcOptions,
    session::{Link, Packet, Session},
};
use flott_worker::{JobManagerAddress, Options};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Far beyond what anything here takes; only a hang meets it.
pub const HANG: Duration = Duration::from_secs(60);

type Blobs = Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>;

pub struct FakeJobManager {
    pub address: SocketAddr,
    blobs: Blobs,
    pub served: Arc<Mutex<Vec<Digest>>>,
    peers: mpsc::UnboundedReceiver<Peer>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeJobManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One control connection, and the session that it belongs to.
pub struct Peer {
    pub link: Link,
    incoming: Incoming<Packet, Packet>,
    session: Session<ToWorker, FromWorker>,
}

impl FakeJobManager {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (blobs, served): (Blobs, Arc<Mutex<Vec<Digest>>>) = Default::default();
        let (sender, peers) = mpsc::unbounded_channel();
        let shared = (blobs.clone(), served.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.0.clone(), shared.1.clone(), sender.clone()));
            }
        });
        Self { address, blobs, served, peers, task }
    }

    /// Options of a TaskManager that belongs to this JobManager and works in `dir`.
    pub fn options(&self, dir: &std::path::Path) -> Options {
        let address = JobManagerAddress::Fixed(self.address.to_string());
        Options::new(WorkerId("worker-1".into()), address, dir.join("work"), dir.join("log"))
    }

    pub fn put(&self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.put_as(digest, content);
        digest
    }

    /// Serves `content` under a digest that may be another's.
    pub fn put_as(&self, digest: Digest, content: &[u8]) {
        self.blobs.lock().unwrap().insert(digest, content.to_vec());
    }

    pub fn setup(&self, job: JobId, program: Digest) -> JobSetup {
        JobSetup {
            job,
            name: "test".into(),
            graph: self.put(b"{}"),
            program,
            program_name: "app".into(),
            arguments: vec!["one".into(), "two words".into()],
            secret: JobSecret::from_bytes([5; 16]),
            configuration: BTreeMap::new(),
        }
    }

    /// The next connection, as it is.
    pub async fn peer(&mut self) -> Peer {
        tokio::time::timeout(HANG, self.peers.recv()).await.expect("no TaskManager connects").unwrap()
    }

    /// The next connection, over which a session has begun.
    pub async fn begun(&mut self, leader: u64) -> Peer {
        let mut peer = self.peer().await;
        let opening = peer.opening().await;
        assert_ne!(opening.session, Some(LeaderEpoch(leader)), "it has a session");
        let welcome = Packet::open(&Welcome::Begun { leader: LeaderEpoch(leader) }).unwrap();
        peer.session.resume(peer.link.clone(), Some(welcome), MessageNumber(0)).unwrap();
        peer
    }

    /// The same, its registration answered.
    pub async fn registered(&mut self, leader: u64) -> (Peer, Registration) {
        let mut peer = self.begun(leader).await;
        let registration = peer.registration().await;
        peer.send(ToWorker::Registered { leader: LeaderEpoch(leader) });
        (peer, registration)
    }

    /// The next connection, over which the session of `before` goes on.
    pub async fn resumed(&mut self, before: Peer) -> Peer {
        let mut peer = self.peer().await;
        let opening = peer.opening().await;
        peer.session = before.session;
        let welcome = Packet::open(&Welcome::Resumed { received: peer.session.received() }).unwrap();
        peer.session.resume(peer.link.clone(), Some(welcome), opening.received).unwrap();
        peer
    }
}

async fn serve(
    mut stream: TcpStream,
    blobs: Blobs,
    served: Arc<Mutex<Vec<Digest>>>,
    peers: mpsc::UnboundedSender<Peer>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    if path == CONTROL_PATH {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flott-control/3\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let (link, incoming) = Connection::start(stream, RpcOptions::default());
        let session = Session::new(&RpcOptions::default());
        let _ = peers.send(Peer { link, incoming, session });
        return;
    }
    let digest: Digest = path.strip_prefix(BLOB_PATH).unwrap().trim_start_matches('/').parse().unwrap();
    served.lock().unwrap().push(digest);
    let blob = blobs.lock().unwrap().get(&digest).cloned();
    let (status, body) = blob.map_or(("404 Not Found", Vec::new()), |blob| ("200 OK", blob));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A TaskManager that is being dropped may hang up.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}

impl Peer {
    async fn opening(&mut self) -> Opening {
        match self.incoming.next().await {
            Some(Event::Message(Packet::Open(opening))) => flott_core::codec::decode(&opening).unwrap(),
            other => panic!("the first packet is {other:?}"),
        }
    }

    /// Ends the session before it has begun.
    pub async fn refuse(mut self, reason: &str) {
        self.opening().await;
        self.link.send(Packet::open(&Welcome::Over { reason: reason.to_owned() }).unwrap()).unwrap();
        self.link.close(reason);
    }

    pub fn send(&mut self, message: ToWorker) {
        self.session.send(&message).unwrap();
    }

    pub fn say(&mut self, job: JobId, message: JobToWorker) {
        self.send(ToWorker::Job { job, epoch: JobMasterEpoch(1), message });
    }

    /// The next message that `wanted` recognises; others are passed over.
    pub async fn expect<T>(&mut self, what: &str, mut wanted: impl FnMut(FromWorker) -> Option<T>) -> T {
        let search = async {
            loop {
                match self.incoming.next().await {
                    Some(Event::Message(packet)) => {
                        let message = self.session.receive(packet).unwrap();
                        if let Some(found) = message.and_then(&mut wanted) {
                            return found;
                        }
                    }
                    other => panic!("the connection ended before {what}: {other:?}"),
                }
            }
        };
        tokio::time::timeout(HANG, search).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    pub async fn registration(&mut self) -> Registration {
        self.expect("registration", |message| match message {
            FromWorker::Register(registration) => Some(registration),
            other => panic!("the first message is {other:?}"),
        })
        .await
    }

    /// Gives slot 0 to `job` and takes it as its JobMaster.
    pub async fn give_slot(&mut self, job: JobId, slot: u32) -> AllocationId {
        let allocation = AllocationId::random();
        let grant = SlotGrant {
            slot: SlotIndex(slot),
            allocation,
            job,
            epoch: JobMasterEpoch(1),
            profile: ResourceProfile::ANY,
        };
        self.send(ToWorker::AllocateSlot(grant));
        self.expect("slot offer", |message| match message {
            FromWorker::Job { message: WorkerToJob::OfferSlots(slots), .. } => {
                slots.iter().any(|slot| slot.allocation == allocation).then_some(())
            }
            FromWorker::SlotRefused { reason, .. } => panic!("{reason}"),
            _ => None,
        })
        .await;
        self.say(job, JobToWorker::AcceptSlots(vec![allocation]));
        allocation
    }

    /// A slot, and in it a process.
    pub async fn start(&mut self, setup: &JobSetup) {
        self.give_slot(setup.job, 0).await;
        self.say(setup.job, JobToWorker::StartProcess(Box::new(setup.clone())));
    }

    pub async fn ready(&mut self) -> ProcessLocation {
        self.expect("ready process", |message| match message {
            FromWorker::Job { message: WorkerToJob::ProcessReady(location), .. } => Some(location),
            FromWorker::Job { message: WorkerToJob::ProcessLost { failure, .. }, .. } => {
                panic!("{}", failure.report())
            }
            _ => None,
        })
        .await
    }

    pub async fn lost(&mut self) -> (ProcessId, flott_core::failure::Failure) {
        self.expect("lost process", |message| match message {
            FromWorker::Job { message: WorkerToJob::ProcessLost { process, failure }, .. } => Some((process, failure)),
            _ => None,
        })
        .await
    }
}

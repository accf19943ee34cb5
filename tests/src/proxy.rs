//! A stretch of network between two processes of this machine, that tears when it is told to, or again and again, or swallows what is sent.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use crate::random::Random;

/// Passes on what comes to it, until it tears.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    connections: Connections,
    /// Odd while everything is swallowed. What began under another number stays lost.
    weather: Arc<AtomicU32>,
    /// Whoever dials is hung up on.
    closed: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of HOST:PORT. It lives for as long as the test's process.
    ///
    /// # Panics
    /// When there is no port.
    pub fn before(target: &str) -> Self {
        Self::passing(dialling(target), || usize::MAX)
    }

    /// In front of whoever's HOST:PORT is in a file when somebody dials.
    ///
    /// # Panics
    /// When there is no port.
    pub fn following(file: &str) -> Self {
        let file = file.to_owned();
        Self::passing(move || TcpStream::connect(fs::read_to_string(&file)?.trim()), || usize::MAX)
    }

    /// The same, but each connection tears when so many bytes have gone one way: a number from `seed`, up to `most`. So
    /// requests get lost half-way, and answers to what was done all the same.
    ///
    /// # Panics
    /// When there is no port.
    pub fn tearing(target: &str, seed: u64, most: u64) -> Self {
        let mut random = Random::new(seed);
        Self::passing(dialling(target), move || random.within(1..=most) as usize)
    }

    fn passing(
        dial: impl Fn() -> io::Result<TcpStream> + Send + 'static,
        mut bytes: impl FnMut() -> usize + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("it has an address").to_string();
        let connections = Connections::default();
        let weather: Arc<AtomicU32> = Arc::default();
        let closed: Arc<AtomicBool> = Arc::default();
        let (open, sky, gate) = (connections.clone(), weather.clone(), closed.clone());
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let number = sky.load(Ordering::SeqCst);
                if gate.load(Ordering::SeqCst) {
                    continue;
                }
                // Whoever dials while the target is away is hung up on.
                let Ok(there) = dial() else { continue };
                let (Ok(back), Ok(forth)) = (here.try_clone(), there.try_clone()) else { continue };
                let Some(kept) = open.keep([&here, &there]) else { continue };
                if gate.load(Ordering::SeqCst) {
                    // Closed since it was asked: whoever closed it may have torn all before this one was among them.
                    continue;
                }
                let (up, down) = (bytes(), bytes());
                for (from, to, bytes) in [(here, forth, up), (there, back, down)] {
                    let (sky, kept) = (sky.clone(), kept.clone());
                    let passes = move || number.is_multiple_of(2) && sky.load(Ordering::SeqCst) == number;
                    thread::spawn(move || {
                        carry(from, to, bytes, passes);
                        drop(kept);
                    });
                }
            }
        });
        Self { address, connections, weather, closed }
    }

    /// HOST:PORT to dial in the target's place.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing that is sent arrives, and nobody hangs up.
    pub fn swallow(&self) {
        self.weather.fetch_or(1, Ordering::SeqCst);
    }

    /// What is sent arrives again, on new connections: those that there are have been forgotten.
    pub fn flow(&self) {
        let swallows = |number: u32| (number % 2 == 1).then(|| number + 1);
        let _ = self.weather.fetch_update(Ordering::SeqCst, Ordering::SeqCst, swallows); // or it flows already
    }

    /// From now on whoever dials is hung up on, and so is everybody who is connected.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.tear();
    }

    /// Whoever dials is let through again.
    pub fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Tears every connection; what is on its way is lost. Returns how many there were.
    pub fn tear(&self) -> usize {
        // One that has ended already is not connected.
        let hang_up = |socket: TcpStream| socket.shutdown(Shutdown::Both).is_ok();
        let open = std::mem::take(&mut self.connections.0.lock().unwrap_or_else(PoisonError::into_inner).open);
        open.into_values().map(|ends| ends.map(hang_up)).filter(|hung| hung.contains(&true)).count()
    }
}

fn dialling(target: &str) -> impl Fn() -> io::Result<TcpStream> + use<> {
    let target = target.to_owned();
    move || TcpStream::connect(&target)
}

/// Both ends of each connection, until nothing is carried over it any more.
#[derive(Debug, Clone, Default)]
struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// How many there have been.
    numbered: u64,
    open: BTreeMap<u64, [TcpStream; 2]>,
}

/// A connection that is kept until this is dropped.
struct Kept {
    number: u64,
    of: Connections,
}

impl Connections {
    /// None where there are too many files open.
    fn keep(&self, ends: [&TcpStream; 2]) -> Option<Arc<Kept>> {
        let [here, there] = ends.map(|socket| socket.try_clone().ok());
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connections.numbered += 1;
        let number = connections.numbered;
        connections.open.insert(number, [here?, there?]);
        Some(Arc::new(Kept { number, of: self.clone() }))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.number);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut bytes: usize, passes: impl Fn() -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !passes() {
            continue;
        }
        let passed = read.min(bytes);
        bytes -= passed;
        if to.write_all(&buffer[..passed]).is_err() {
            break;
        }
        if bytes == 0 {
            // Whoever is there hears of it; who is not needs no word.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }
    if passes() {
        let _ = to.shutdown(Shutdown::Write); // or it is torn
    }
}

//! A stretch of network between two processes of this machine, that tears when it is told to, or again and again, or swallows what is sent.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::random::Random;

/// Passes on what comes to it, until it tears.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    /// Odd while everything is swallowed. What began under another number stays lost.
    weather: Arc<AtomicU32>,
}

impl Proxy {
    /// In front of HOST:PORT. It lives for as long as the test's process.
    ///
    /// # Panics
    /// When there is no port.
    pub fn before(target: &str) -> Self {
        Self::passing(target, || usize::MAX)
    }

    /// The same, but each connection tears when so many bytes have gone one way: a number from `seed`, up to `most`. So
    /// requests get lost half-way, and answers to what was done all the same.
    ///
    /// # Panics
    /// When there is no port.
    pub fn tearing(target: &str, seed: u64, most: u64) -> Self {
        let mut random = Random::new(seed);
        Self::passing(target, move || random.within(1..=most) as usize)
    }

    fn passing(target: &str, mut bytes: impl FnMut() -> usize + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("it has an address").to_string();
        let sockets: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let weather: Arc<AtomicU32> = Arc::default();
        let (target, open, sky) = (target.to_owned(), sockets.clone(), weather.clone());
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let number = sky.load(Ordering::SeqCst);
                // Whoever dials while the target is away is hung up on.
                let Ok(there) = TcpStream::connect(&target) else { continue };
                let (Ok(back), Ok(forth)) = (here.try_clone(), there.try_clone()) else { continue };
                let kept = [&here, &there].map(|socket| socket.try_clone().ok());
                open.lock().unwrap_or_else(PoisonError::into_inner).extend(kept.into_iter().flatten());
                let (up, down) = (bytes(), bytes());
                for (from, to, bytes) in [(here, forth, up), (there, back, down)] {
                    let sky = sky.clone();
                    let passes = move || number.is_multiple_of(2) && sky.load(Ordering::SeqCst) == number;
                    thread::spawn(move || carry(from, to, bytes, passes));
                }
            }
        });
        Self { address, sockets, weather }
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

    /// Tears every connection; what is on its way is lost. Returns how many there were.
    pub fn tear(&self) -> usize {
        let sockets = std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner));
        // One that has ended already is not connected.
        sockets.iter().filter(|socket| socket.shutdown(Shutdown::Both).is_ok()).count() / 2
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
}

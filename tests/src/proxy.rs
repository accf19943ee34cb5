//! A stretch of network between two processes of this machine, that tears when it is told to, or again and again.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::random::Random;

/// Passes on what comes to it, until it tears.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
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
        let (target, open) = (target.to_owned(), sockets.clone());
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                // Whoever dials while the target is away is hung up on.
                let Ok(there) = TcpStream::connect(&target) else { continue };
                let (Ok(back), Ok(forth)) = (here.try_clone(), there.try_clone()) else { continue };
                let kept = [&here, &there].map(|socket| socket.try_clone().ok());
                open.lock().unwrap_or_else(PoisonError::into_inner).extend(kept.into_iter().flatten());
                let (up, down) = (bytes(), bytes());
                thread::spawn(move || carry(here, forth, up));
                thread::spawn(move || carry(there, back, down));
            }
        });
        Self { address, sockets }
    }

    /// HOST:PORT to dial in the target's place.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Tears every connection; what is on its way is lost. Returns how many there were.
    pub fn tear(&self) -> usize {
        let sockets = std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner));
        // One that has ended already is not connected.
        sockets.iter().filter(|socket| socket.shutdown(Shutdown::Both).is_ok()).count() / 2
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut bytes: usize) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
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

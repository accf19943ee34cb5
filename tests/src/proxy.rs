//! A stretch of network between two processes of this machine, that tears when it is told to.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

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
                thread::spawn(move || carry(here, forth));
                thread::spawn(move || carry(there, back));
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

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

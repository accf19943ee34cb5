//! Whether a broker answers.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The request for the versions that a broker speaks, in its oldest form: length, key 18, version 0, number 1, no client.
const VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// More than the answer can have.
const ANSWER_BYTES_MAX: u32 = 64 << 10;

/// Asks for the versions that the broker speaks.
///
/// # Errors
/// When it does not answer.
pub(crate) fn ask(address: SocketAddr) -> io::Result<()> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&VERSIONS)?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [a, b, c, d, number @ ..] = head;
    let length = u32::from_be_bytes([a, b, c, d]);
    if !(4..=ANSWER_BYTES_MAX).contains(&length) || number != [0, 0, 0, 1] {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "that is no broker"));
    }
    Ok(())
}

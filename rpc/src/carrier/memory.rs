use tokio::io::DuplexStream;

/// Bytes that each direction holds before its writer waits.
const BUFFER_BYTES: usize = 64 << 10;

/// The two ends of a stream within this process.
pub fn memory() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(BUFFER_BYTES)
}

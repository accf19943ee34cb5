//! Ports for servers that cannot choose one themselves.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::anyhow;

/// Below the range from which the kernel takes ports for connections and for servers that want any: nobody gets one of
/// these by chance between the look and the use.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// How many are tried before all are taken to be in use.
const TRIES: u32 = 1000;

/// A port of loopback that nobody listens on, and that is none of `taken`.
pub fn free(taken: &[u16]) -> anyhow::Result<u16> {
    for _ in 0..TRIES {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
        let port = RANGE.start + u16::from_le_bytes(random) % (RANGE.end - RANGE.start);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port of 127.0.0.1 was found between {} and {}", RANGE.start, RANGE.end)
}

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes kept of what a child prints.
const KEPT: usize = 8 << 10;

/// The end of what a child prints, both streams together. Everything before it is read and dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
}

impl Tail {
    /// Reads both streams to their ends.
    pub(super) fn read(
        &self,
        stdout: Option<impl AsyncRead + Unpin>,
        stderr: Option<impl AsyncRead + Unpin>,
    ) -> impl Future<Output = ()> {
        let (first, second) = (self.clone(), self.clone());
        async move {
            tokio::join!(first.drain(stdout), second.drain(stderr));
        }
    }

    async fn drain(self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = [0; 4096];
        // A stream that fails is a stream that has ended.
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let mut kept = self.kept.lock();
            kept.extend(&buffer[..read]);
            let excess = kept.len().saturating_sub(KEPT);
            kept.drain(..excess);
        }
    }

    /// What is kept.
    pub(super) fn text(&self) -> String {
        let kept: Vec<u8> = self.kept.lock().iter().copied().collect();
        String::from_utf8_lossy(&kept).into_owned()
    }
}

//! Lines from a TCP connection.

use std::{
    borrow::Cow,
    future::Future,
    io,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};

use super::lines::LineBuffer;

const READ_BYTES: usize = 16 << 10;

/// Lines until the peer closes the connection. It is read once: what was read before a failure is gone.
pub(crate) struct SocketSource {
    pub host: String,
    pub port: u16,
}

impl Source for SocketSource {
    type Item = String;
    type Split = ();

    fn enumerate(&self, _: u32) -> TaskResult<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): (), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<String, ()>>> {
        let address = format!("{}:{}", self.host, self.port);
        let stream = Box::pin(TcpStream::connect((self.host.clone(), self.port)));
        Ok(Box::new(Reader { address, stream: State::Connecting(stream), buffer: LineBuffer::default() }))
    }
}

enum State {
    Connecting(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open(TcpStream),
}

struct Reader {
    address: String,
    stream: State,
    buffer: LineBuffer,
}

impl Reader {
    /// Reads more; 0 at the end of the connection.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<usize>> {
        let Self { address, stream, buffer } = self;
        let cannot = |action: &str, error: &io::Error| {
            Box::new(Failure::environment(format!("cannot {action} {address}: {error}")))
        };
        if let State::Connecting(connect) = stream {
            *stream = State::Open(ready!(connect.as_mut().poll(cx)).map_err(|error| cannot("connect to", &error))?);
        }
        let State::Open(stream) = stream else { unreachable!("connected above") };
        let mut piece = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut piece);
        ready!(Pin::new(stream).poll_read(cx, &mut read)).map_err(|error| cannot("read from", &error))?;
        buffer.refill(READ_BYTES)?.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl SplitReader<String, ()> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<String>) -> Poll<TaskResult<ReadStatus>> {
        loop {
            let flow = self.buffer.take(|line, _| {
                batch.records.push(line.to_owned());
                if batch.len() >= BATCH_RECORDS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if flow.is_break() || !batch.is_empty() {
                return Poll::Ready(Ok(ReadStatus::More));
            }
            if ready!(self.poll_more(cx))? == 0 {
                batch.records.extend(self.buffer.rest().map(Cow::into_owned));
                return Poll::Ready(Ok(ReadStatus::Ended));
            }
        }
    }

    fn remaining(&self) {}
}

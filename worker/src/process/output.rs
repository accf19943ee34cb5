//! What a job process prints: two pipes, read by one thread into two bounded files.
//!
//! A program that prints faster than the rate waits in its own `write`; it takes neither the disk nor the machine.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{ChildStderr, ChildStdout},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::bounded_log::BoundedLog;

const BUFFER_BYTES: usize = 64 << 10;
const LAST_WORDS_BYTES: usize = 4 << 10;
/// What is still read from each pipe after the process has ended; a pipe holds no more unless someone keeps writing.
const REST_BYTES: u64 = 1 << 20;
const STACK_BYTES: usize = 128 << 10;

/// Where the output goes.
pub(super) struct Output {
    pub stdout: BoundedLog,
    pub stderr: BoundedLog,
    /// Bytes per second of both together.
    pub rate_max: u64,
}

/// Reading that goes on.
pub(super) struct Reading {
    thread: thread::JoinHandle<Vec<u8>>,
    process_ended: PipeWriter,
}

impl Output {
    /// Begins to read.
    pub(super) fn start(self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> io::Result<Reading> {
        let (ended, process_ended) = io::pipe()?;
        let mut streams = Vec::new();
        if let Some(pipe) = stdout {
            streams.push(Stream::new(OwnedFd::from(pipe), self.stdout, false)?);
        }
        if let Some(pipe) = stderr {
            streams.push(Stream::new(OwnedFd::from(pipe), self.stderr, true)?);
        }
        let rate = Rate { bytes_per_second: self.rate_max.max(1), ahead: 0, since: Instant::now() };
        let thread = thread::Builder::new()
            .name("job-output".into())
            .stack_size(STACK_BYTES)
            .spawn(move || read_all(streams, ended, rate))?;
        Ok(Reading { thread, process_ended })
    }
}

impl Reading {
    /// Reads what is left in the pipes and gives the end of standard error. For when the process has ended.
    pub(super) fn finish(self) -> String {
        drop(self.process_ended);
        let last = self.thread.join().unwrap_or_default();
        String::from_utf8_lossy(&last).into_owned()
    }
}

struct Stream {
    pipe: File,
    log: BoundedLog,
    last_words: Option<VecDeque<u8>>,
}

impl Stream {
    fn new(pipe: OwnedFd, log: BoundedLog, keep_last_words: bool) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe: pipe.into(), log, last_words: keep_last_words.then(VecDeque::new) })
    }

    /// Reads once: `None` at the end of the stream, 0 when there is nothing now.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match self.pipe.read(buffer) {
            Ok(0) => None,
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.log.write(bytes);
                if let Some(last) = &mut self.last_words {
                    let excess = (last.len() + count).saturating_sub(LAST_WORDS_BYTES).min(last.len());
                    last.drain(..excess);
                    last.extend(bytes.get(count.saturating_sub(LAST_WORDS_BYTES)..).unwrap_or_default());
                }
                Some(count)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Some(0),
            Err(_) => None,
        }
    }
}

fn read_all(mut streams: Vec<Stream>, ended: PipeReader, mut rate: Rate) -> Vec<u8> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut last_words = Vec::new();
    while !streams.is_empty() {
        if wait(&[ended.as_fd()], Some(rate.pause())).first() == Some(&true) {
            break;
        }
        let sources: Vec<_> = streams.iter().map(|stream| stream.pipe.as_fd()).chain([ended.as_fd()]).collect();
        let mut ready = wait(&sources, None);
        if ready.pop() == Some(true) {
            break;
        }
        let mut index = 0;
        streams.retain_mut(|stream| {
            let is_ready = ready.get(index) == Some(&true);
            index += 1;
            let read = if is_ready { stream.read(&mut buffer) } else { Some(0) };
            rate.note(read.unwrap_or(0));
            if read.is_none() {
                last_words.extend(stream.last_words.take().unwrap_or_default());
            }
            read.is_some()
        });
    }
    for mut stream in streams {
        let mut rest = 0;
        while let Some(count @ 1..) = stream.read(&mut buffer) {
            rest += count as u64;
            if rest > REST_BYTES {
                break;
            }
        }
        last_words.extend(stream.last_words.take().unwrap_or_default());
    }
    last_words
}

/// Waits until one of `sources` has something or has ended; `Some(zero)` only looks. Says which.
fn wait(sources: &[BorrowedFd<'_>], time: Option<Duration>) -> Vec<bool> {
    let timeout = time.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
    let mut polled: Vec<_> = sources.iter().map(|source| PollFd::new(*source, PollFlags::POLLIN)).collect();
    // An interrupted wait says that nothing is ready, and the caller waits again.
    let _ = poll(&mut polled, timeout);
    polled.iter().map(|polled| polled.any().unwrap_or(false)).collect()
}

/// How far reading is ahead of the rate.
struct Rate {
    bytes_per_second: u64,
    ahead: u64,
    since: Instant,
}

impl Rate {
    fn note(&mut self, bytes: usize) {
        self.ahead += bytes as u64;
    }

    /// Half a second's worth may be read in one go; what is more has to wait.
    fn pause(&mut self) -> Duration {
        let elapsed = self.since.elapsed();
        let earned = (elapsed.as_secs_f64() * self.bytes_per_second as f64) as u64;
        if earned > 0 {
            self.ahead = self.ahead.saturating_sub(earned);
            self.since += elapsed;
        }
        let excess = self.ahead.saturating_sub(self.bytes_per_second / 2);
        Duration::from_secs_f64(excess as f64 / self.bytes_per_second as f64)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[track_caller]
    fn check_last_words(written: &[u8], expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let log = |name: &str| BoundedLog::open(&directory.path().join(name), 1 << 20).unwrap();
        let output = Output { stdout: log("out"), stderr: log("log"), rate_max: 1 << 30 };
        let reading = output.start(None, Some(OwnedFd::from(reader).into())).unwrap();
        writer.write_all(written).unwrap();
        assert_eq!(reading.finish(), expected, "though the writing end is still open");
        assert_eq!(std::fs::read(directory.path().join("log")).unwrap(), written);
    }

    #[test]
    fn last_words_are_kept() {
        check_last_words(b"", "");
        check_last_words(b"thread 'main' panicked", "thread 'main' panicked");
        check_last_words(&[b'x'; 5000], &"x".repeat(4096));
    }

    #[test]
    fn rate_makes_excess_wait() {
        let mut rate = Rate { bytes_per_second: 1 << 20, ahead: 0, since: Instant::now() };
        assert_eq!(rate.pause(), Duration::ZERO);
        rate.note(100 << 20);
        assert!(rate.pause() > Duration::from_secs(90));
    }
}

//! Any bytes from a peer process: reading frames and the records in them never panics, and does not depend on how the
//! bytes arrive.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use flott_core::{
    codec,
    id::{AttemptId, AttemptNumber, JobId, JobMasterEpoch, SubtaskIndex, VertexId, WorkerId},
    message::ChannelId,
};
use flott_runtime::{
    batch::{Batch, Data},
    channel::gate::{GateItem, InputGate},
    event::Event,
    net::frame::{self, Frame, FrameError, Kind, RawFrame},
    task::TaskInfo,
};

/// Reads `data` as frames, and as the bodies of frames of each kind.
pub fn run(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let whole = frames(rest, rest.len().max(1));
    assert_eq!(frames(rest, usize::from(first) + 1), whole, "frames depend on how the bytes arrive");
    for frame in whole.0 {
        read(frame);
    }
    let body = bytes::Bytes::copy_from_slice(rest);
    for kind in [Kind::Open, Kind::Data, Kind::Event] {
        for timestamps in [false, true] {
            let (channel, count, body) = (0, first.into(), body.clone());
            read(RawFrame { kind, channel, count, timestamps, body });
        }
    }
}

fn frames(bytes: &[u8], chunk: usize) -> (Vec<RawFrame>, Option<FrameError>) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(chunk) {
        buffer.extend_from_slice(piece);
        loop {
            match frame::take(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn read(frame: RawFrame) {
    let RawFrame { kind, count, timestamps, body, .. } = frame;
    match kind {
        Kind::Open => drop(codec::decode::<ChannelId>(&body)),
        Kind::Event => drop(codec::decode::<Event>(&body)),
        Kind::Data => {
            let frame = Frame { count, timestamps, body };
            deliver::<(u64, u64)>(frame.clone());
            deliver::<(String, Option<Vec<i16>>)>(frame.clone());
            deliver::<()>(frame);
        }
        Kind::Credit | Kind::Close => {}
    }
}

/// Puts `frame` through the gate of a task that reads `T`s.
fn deliver<T: Data>(frame: Frame) {
    let count = frame.count as usize;
    let mut gate = InputGate::<T>::new(1, task());
    assert!(gate.remote_input().deliver(0, frame));
    match gate.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(GateItem::Batch(Batch { records, timestamps, .. }))) => {
            assert_eq!(records.len(), count);
            assert!(timestamps.is_empty() || timestamps.len() == count);
        }
        Poll::Ready(Ok(GateItem::Event(event))) => panic!("records became {event:?}"),
        Poll::Ready(Err(_)) => {}
        Poll::Pending => panic!("a frame got lost"),
    }
}

fn task() -> Arc<TaskInfo> {
    let vertex = VertexId::from_bytes([1; 16]);
    Arc::new(TaskInfo {
        job: JobId::from_bytes([1; 16]),
        job_name: "fuzz".into(),
        vertex,
        task_name: "fuzz".into(),
        attempt: AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) },
        epoch: JobMasterEpoch(1),
        parallelism: 1,
        max_parallelism: 128,
        worker: WorkerId("worker".into()),
        configuration: BTreeMap::new(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock: Default::default(),
        alarm: Default::default(),
        snapshots: Default::default(),
        backend: Default::default(),
    })
}

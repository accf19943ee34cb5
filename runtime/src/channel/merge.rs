//! What several channels into one input say together: the least watermark of those that are active, idle when all
//! are, ended when all have. (Splits of a source come and go, but what they say together is said likewise: [`Said`].)

use crate::{batch::Timestamp, event::Event};

#[derive(Debug, Clone, Copy)]
struct Channel {
    watermark: Timestamp,
    idle: bool,
    ended: bool,
}

/// What was said so far of several things together: a watermark that never goes back, and whether they are idle.
#[derive(Debug)]
pub(crate) struct Said {
    watermark: Timestamp,
    idle: bool,
}

impl Default for Said {
    fn default() -> Self {
        Self { watermark: Timestamp::MIN, idle: false }
    }
}

impl Said {
    /// The watermark that was said last.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Whether it was said last that all are idle.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Says what is new when `least` is the least watermark of those that are active, if any is: at most two events, the
    /// watermark last.
    pub fn settle(&mut self, least: Option<Timestamp>, mut say: impl FnMut(Event)) {
        let Some(watermark) = least else {
            if !std::mem::replace(&mut self.idle, true) {
                say(Event::Idle);
            }
            return;
        };
        if std::mem::take(&mut self.idle) {
            say(Event::Active);
        }
        if watermark > self.watermark {
            self.watermark = watermark;
            say(Event::Watermark(watermark));
        }
    }
}

/// Merges the events of channels. Plain data, no I/O.
#[derive(Debug)]
pub struct EventMerge {
    channels: Vec<Channel>,
    said: Said,
    open: usize,
}

impl EventMerge {
    /// For `channels` channels, none of which has said anything.
    pub fn new(channels: usize) -> Self {
        let channel = Channel { watermark: Timestamp::MIN, idle: false, ended: false };
        Self { channels: vec![channel; channels], said: Said::default(), open: channels }
    }

    /// Whether every channel has ended.
    pub fn ended(&self) -> bool {
        self.open == 0
    }

    /// Whether one channel has ended.
    pub fn channel_ended(&self, channel: usize) -> bool {
        self.channels[channel].ended
    }

    /// Takes an event of one channel; gives what the input as a whole now says, at most two events in order.
    pub fn take(&mut self, channel: usize, event: Event, mut say: impl FnMut(Event)) {
        let state = &mut self.channels[channel];
        if state.ended {
            return;
        }
        match event {
            // A watermark never goes back; a channel that repeats an old one says nothing new.
            Event::Watermark(watermark) => {
                state.watermark = state.watermark.max(watermark);
                state.idle = false;
            }
            Event::Idle => state.idle = true,
            Event::Active => state.idle = false,
            Event::End => {
                state.ended = true;
                self.open -= 1;
                if self.open == 0 {
                    return say(Event::End);
                }
            }
        }
        // Ended channels hold nobody back. Of idle ones only the others count.
        let active = self.channels.iter().filter(|channel| !channel.ended && !channel.idle);
        self.said.settle(active.map(|channel| channel.watermark).min(), say);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(channels: usize, said: &[(usize, Event)], expected: &[Event]) {
        let mut merge = EventMerge::new(channels);
        let mut out = Vec::new();
        for &(channel, event) in said {
            merge.take(channel, event, |event| out.push(event));
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn the_least_watermark_counts() {
        use Event::Watermark as W;
        check(2, &[(0, W(5)), (1, W(3)), (1, W(9)), (0, W(4))], &[W(3), W(5)]);
    }

    #[test]
    fn idle_channels_do_not_hold_back() {
        use Event::{Active, Idle, Watermark as W};
        check(2, &[(0, W(5)), (1, Idle), (0, Idle), (1, W(7))], &[W(5), Idle, Active, W(7)]);
    }

    #[test]
    fn ends_once_when_all_have_ended() {
        use Event::{End, Watermark as W};
        check(2, &[(0, W(5)), (1, End), (1, End), (0, End)], &[W(5), End]);
    }
}

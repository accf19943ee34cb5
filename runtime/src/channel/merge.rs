//! What several channels into one input say together: the least watermark of those that are active, idle when all
//! are, ended when all have. (Splits of a source come and go, but what they say together is said likewise: `Said`.)
//!
//! Idle channels hold nobody up, so when all are idle, time has come as far as the one that is furthest: in whatever order
//! they became so, what they say together is the same.

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
    /// As if `watermark` had been said already.
    pub fn beginning_at(watermark: Timestamp) -> Self {
        Self { watermark, idle: false }
    }

    /// The watermark that was said last.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Whether it was said last that all are idle.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Says what is new when these are the things, by their watermarks and whether they are idle: at most two events.
    ///
    /// When the last of them becomes idle, nobody is left who would have waited for any: the greatest watermark holds, as
    /// if the others had become idle before the one that has it. The final watermark is the exception: it says that nothing
    /// comes any more, which one cannot say for another. It counts when all have it; until then, who has it is as good as
    /// gone.
    pub fn settle(&mut self, things: impl Iterator<Item = (Timestamp, bool)>, mut say: impl FnMut(Event)) {
        let (mut least, mut greatest_idle) = (None, Timestamp::MIN);
        let (mut is_final, mut open) = (false, false);
        for (watermark, idle) in things {
            if watermark == Timestamp::MAX {
                is_final = true;
                continue;
            }
            open = true;
            if idle {
                greatest_idle = watermark.max(greatest_idle);
            } else {
                least = Some(least.map_or(watermark, |least| watermark.min(least)));
            }
        }
        if is_final && !open {
            least = Some(Timestamp::MAX);
        }
        match least {
            Some(watermark) => {
                if std::mem::take(&mut self.idle) {
                    say(Event::Active);
                }
                self.advance(watermark, say);
            }
            None => {
                if !std::mem::replace(&mut self.idle, true) {
                    self.advance(greatest_idle, &mut say);
                    say(Event::Idle);
                }
            }
        }
    }

    fn advance(&mut self, watermark: Timestamp, mut say: impl FnMut(Event)) {
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

    /// What was said so far.
    pub(crate) fn said(&self) -> &Said {
        &self.said
    }

    /// Goes on from where `watermark` had been said.
    pub(crate) fn begin_at(&mut self, watermark: Timestamp) {
        self.said = Said::beginning_at(watermark);
    }

    /// What a channel has said: its watermark, and whether it is idle; nothing if it has ended.
    pub(crate) fn heard(&self, channel: usize) -> Option<(Timestamp, bool)> {
        let Channel { watermark, idle, ended } = self.channels[channel];
        (!ended).then_some((watermark, idle))
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
            // Where barriers meet is another matter (`align`).
            Event::Barrier(_) => return,
            Event::End => {
                state.ended = true;
                self.open -= 1;
                if self.open == 0 {
                    return say(Event::End);
                }
            }
        }
        // Ended channels hold nobody back.
        let open = self.channels.iter().filter(|channel| !channel.ended);
        self.said.settle(open.map(|channel| (channel.watermark, channel.idle)), say);
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
    fn when_all_are_idle_the_furthest_counts_in_whatever_order_they_became_so() {
        use Event::{Active, Idle, Watermark as W};
        check(2, &[(0, W(5)), (1, W(3)), (1, Idle), (0, Idle)], &[W(3), W(5), Idle]);
        check(2, &[(0, W(5)), (1, W(3)), (0, Idle), (1, Idle)], &[W(3), W(5), Idle]);
        // Who comes back behind the others is late; who comes back ahead of them does not wait for them.
        check(2, &[(0, W(5)), (0, Idle), (1, Idle), (1, W(3)), (1, W(6))], &[W(5), Idle, Active, W(6)]);
    }

    #[test]
    fn the_end_of_a_channel_says_nothing_of_others_that_are_idle() {
        use Event::{End, Idle, Watermark as W};
        check(2, &[(0, W(i64::MAX)), (1, W(3)), (0, End), (1, Idle)], &[W(3), Idle]);
        check(2, &[(1, W(3)), (1, Idle), (0, W(i64::MAX)), (0, End)], &[W(3), Idle]);
    }

    #[test]
    fn the_final_watermark_is_that_of_all() {
        use Event::{Active, End, Idle, Watermark as W};
        const FINAL: Event = W(i64::MAX);
        // What the idle one has still to say is not late.
        check(
            2,
            &[(1, W(3)), (1, Idle), (0, FINAL), (0, End), (1, W(7)), (1, FINAL), (1, End)],
            &[W(3), Idle, Active, W(7), FINAL, End],
        );
        check(2, &[(0, FINAL), (1, FINAL)], &[FINAL]);
        check(2, &[(0, FINAL), (0, Idle), (1, W(1))], &[W(1)]);
    }

    #[test]
    fn in_which_order_channels_become_idle_does_not_matter() {
        use Event::{Active, Idle, Watermark as W};
        check(2, &[(0, W(5)), (1, W(9)), (0, Idle), (1, Idle)], &[W(5), W(9), Idle]);
        check(2, &[(0, W(5)), (1, W(9)), (1, Idle), (0, Idle)], &[W(5), W(9), Idle]);
        // What has ended is past all waiting, and says nothing of the others.
        check(2, &[(0, W(5)), (1, W(i64::MAX)), (1, Event::End), (0, Idle), (0, Active)], &[W(5), Idle, Active]);
    }

    #[test]
    fn ends_once_when_all_have_ended() {
        use Event::{End, Watermark as W};
        check(2, &[(0, W(5)), (1, End), (1, End), (0, End)], &[W(5), End]);
    }
}

//! A candidate for leadership: what it makes of the lease that it sees.
//!
//! Times are those of the candidate's own monotonic clock. Nothing is compared between the clocks of two machines: a lease has run out
//! when it was not renewed for as long as it lasts *while this candidate watched*.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long things about a lease may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// How long its holder tries to renew it before it gives up. Shorter than the lease.
    pub renewal: Duration,
    /// How often the holder renews it, and others look.
    pub retry: Duration,
}

/// What is written where all candidates see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who leads: a name that no other life of a JobManager has. Empty when the last one has given it back.
    pub holder: String,
    /// `HOST:PORT` of it.
    pub address: String,
    /// How long the lease lasts.
    pub duration: Duration,
    /// How often it has passed to another.
    pub transitions: u64,
    /// Whether the last holder has shut the whole cluster down. Those that stood by then end too.
    pub over: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Look again after a while.
    Wait,
    /// Write this, if the lease is still as it was seen.
    Write(Lease),
    /// The lease is lost, for this reason. It is over.
    Lost(String),
    /// The leader has shut the cluster down.
    Over,
}

/// See the module. `V` is the version of a lease that was read: equal if nobody has written in between.
#[derive(Debug)]
pub struct Candidate<V> {
    name: String,
    address: String,
    timing: Timing,
    seen: Option<Seen<V>>,
    /// Whether it was seen that the cluster is not over: it may have been, before this candidate came.
    stood_by: bool,
    /// A holder whose process is no more.
    gone: Option<String>,
    /// When the latest write was begun that has worked: while this candidate holds the lease.
    renewed: Option<Instant>,
}

#[derive(Debug)]
struct Seen<V> {
    lease: Lease,
    version: V,
    /// When it was first seen so.
    since: Instant,
}

impl<V> Seen<V> {
    /// When it has run out, unless it is renewed.
    fn end(&self, timing: Timing) -> Instant {
        // What a damaged lease says is not believed.
        self.since.checked_add(self.lease.duration.max(timing.lease)).unwrap_or(self.since + timing.lease)
    }
}

impl<V: PartialEq + Clone> Candidate<V> {
    /// A candidate of this name, which no other one has or had, at this address.
    pub fn new(name: String, address: String, timing: Timing) -> Self {
        Self { name, address, timing, seen: None, stood_by: false, gone: None, renewed: None }
    }

    /// The version to write over; none if there is no lease.
    pub fn version(&self) -> Option<V> {
        self.seen.as_ref().map(|seen| seen.version.clone())
    }

    /// Whether it leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.renewed.is_some()
    }

    /// The address of another that leads. At this one's own address, only an earlier life of it can have led.
    pub fn leader(&self) -> Option<&str> {
        let lease = &self.seen.as_ref()?.lease;
        let is_another = !lease.holder.is_empty() && lease.holder != self.name && lease.address != self.address;
        is_another.then_some(lease.address.as_str())
    }

    /// Takes in what was read.
    pub fn observed(&mut self, now: Instant, lease: Option<(Lease, V)>) -> Step {
        let Some((lease, version)) = lease else {
            self.seen = None;
            return self.wanted(now, 0);
        };
        if lease.over && self.stood_by && !self.leads() {
            return Step::Over;
        }
        self.stood_by |= !lease.over;
        let since = match &self.seen {
            Some(seen) if seen.version == version => seen.since,
            _ => now,
        };
        let mine = lease.holder == self.name;
        let (free, transitions) = (lease.holder.is_empty(), lease.transitions);
        let holder = lease.holder.clone();
        let seen = self.seen.insert(Seen { lease, version, since });
        let run_out = now >= seen.end(self.timing) || self.gone.as_ref() == Some(&holder);
        if mine {
            // Also what a write has come to whose answer was lost.
            return self.wanted(now, transitions);
        }
        if self.leads() {
            return Step::Lost(format!("{} holds the lease", if free { "nobody" } else { &holder }));
        }
        if free || run_out { self.wanted(now, transitions + 1) } else { Step::Wait }
    }

    /// When the lease of another runs out, if nothing is seen of it until then.
    pub fn runs_out(&self) -> Option<Instant> {
        self.leader()?;
        self.seen.as_ref().map(|seen| seen.end(self.timing))
    }

    /// The process is gone of the one that leads: its lease need not run out. To be wrong about it costs a change of leaders.
    pub fn leader_is_gone(&mut self) {
        self.gone = self.seen.as_ref().map(|seen| seen.lease.holder.clone());
    }

    /// Reading has failed.
    pub fn unobserved(&mut self, now: Instant, error: &str) -> Step {
        self.overdue(now, error).unwrap_or(Step::Wait)
    }

    /// The write that was begun at `begun` has worked: it is this version now.
    pub fn wrote(&mut self, begun: Instant, lease: Lease, version: V) {
        self.seen = Some(Seen { lease, version, since: begun });
        self.renewed = Some(begun);
    }

    /// The write has failed, or it is not known whether it did. What is there is seen next time.
    pub fn not_written(&mut self, now: Instant, error: &str) -> Step {
        self.overdue(now, error).unwrap_or(Step::Wait)
    }

    /// What gives the lease back, to another or, if the cluster is `over`, to nobody; none if this candidate does not hold it.
    pub fn resignation(&self, over: bool) -> Option<Lease> {
        let seen = self.seen.as_ref().filter(|seen| self.leads() && seen.lease.holder == self.name)?;
        Some(Lease { holder: String::new(), over, ..seen.lease.clone() })
    }

    fn wanted(&self, now: Instant, transitions: u64) -> Step {
        self.overdue(now, "the renewal came too late").unwrap_or_else(|| {
            Step::Write(Lease {
                holder: self.name.clone(),
                address: self.address.clone(),
                duration: self.timing.lease,
                transitions,
                over: false,
            })
        })
    }

    /// That too long nothing was renewed.
    fn overdue(&self, now: Instant, why: &str) -> Option<Step> {
        let since = now.saturating_duration_since(self.renewed?);
        (since >= self.timing.renewal)
            .then(|| Step::Lost(format!("the lease was not renewed for {:.1} s: {why}", since.as_secs_f64())))
    }
}

#[cfg(test)]
mod tests;

//! Which ended jobs are still shown: the newest few, for a while. Pure; the Dispatcher carries it out.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::id::JobId;

/// Bounds of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Most jobs (`jobstore.max-capacity`).
    pub jobs_max: usize,
    /// Milliseconds after its end that a job is dropped (`jobstore.expiration-time`); `None` keeps it.
    pub expiration_ms: Option<u64>,
}

/// Ended jobs by the time of their end.
#[derive(Debug, Clone, Default)]
pub struct History {
    by_end: BTreeSet<(u64, JobId)>,
    ends: BTreeMap<JobId, u64>,
}

impl History {
    /// Adds a job that ended at `ended_at`; adding it again moves it.
    pub fn add(&mut self, job: JobId, ended_at: u64) {
        if let Some(before) = self.ends.insert(job, ended_at) {
            self.by_end.remove(&(before, job));
        }
        self.by_end.insert((ended_at, job));
    }

    /// Takes out the jobs that `retention` does not keep at `now`, longest ended first.
    pub fn expire(&mut self, now: u64, retention: Retention) -> Vec<JobId> {
        let mut dropped = Vec::new();
        while let Some(&(ended_at, job)) = self.by_end.first() {
            let expired = retention.expiration_ms.is_some_and(|expiration| ended_at.saturating_add(expiration) <= now);
            if !expired && self.by_end.len() <= retention.jobs_max {
                break;
            }
            self.by_end.pop_first();
            self.ends.remove(&job);
            dropped.push(job);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> JobId {
        JobId::from_bytes([n; 16])
    }

    #[track_caller]
    fn check(jobs: &[(u8, u64)], now: u64, jobs_max: usize, expiration_ms: Option<u64>, dropped: &[u8]) {
        let mut history = History::default();
        jobs.iter().for_each(|(job, ended_at)| history.add(id(*job), *ended_at));
        let expected: Vec<_> = dropped.iter().copied().map(id).collect();
        assert_eq!(history.expire(now, Retention { jobs_max, expiration_ms }), expected);
        assert_eq!(history.by_end.len(), history.ends.len());
    }

    #[test]
    fn the_newest_are_kept() {
        check(&[(1, 10), (2, 5), (3, 7)], 100, 2, None, &[2]);
        check(&[(1, 10), (2, 5), (3, 7)], 100, 3, None, &[]);
        check(&[(1, 10), (2, 5)], 100, 0, None, &[2, 1]);
    }

    #[test]
    fn the_old_expire() {
        check(&[(1, 10), (2, 50)], 60, 9, Some(50), &[1]);
        check(&[(1, 10), (2, 50)], 59, 9, Some(50), &[]);
        check(&[(1, 10)], u64::MAX, 9, Some(u64::MAX), &[1]);
    }

    #[test]
    fn a_job_counts_once() {
        check(&[(1, 10), (1, 20)], 100, 1, None, &[]);
    }
}

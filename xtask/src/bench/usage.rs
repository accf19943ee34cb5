//! What workers use between two moments.

use std::collections::BTreeMap;

use super::process;

/// Watches workers, each with the processes below it, and other processes apart.
pub struct Meter {
    workers: Vec<i32>,
    others: Vec<i32>,
    began: Reading,
    /// The peak of each process that was seen, by worker.
    peaks: Vec<BTreeMap<i32, u64>>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    workers: f64,
    others: f64,
}

/// What was used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub other_cpu_seconds: f64,
    /// Of the worker that used most: its own peak and those of the processes below it, added up.
    pub peak_rss_bytes: u64,
}

impl Meter {
    /// Begins.
    pub fn start(workers: Vec<i32>, others: Vec<i32>) -> anyhow::Result<Self> {
        for pid in workers.iter().chain(&others) {
            process::forget_peak(*pid)?;
        }
        let peaks = vec![BTreeMap::new(); workers.len()];
        let began = read(&workers, &others)?;
        let mut meter = Self { workers, others, began, peaks };
        meter.look();
        Ok(meter)
    }

    /// Notes peaks; to be called often, as those of processes that are gone cannot be asked for.
    pub fn look(&mut self) {
        for (worker, peaks) in self.workers.iter().zip(&mut self.peaks) {
            for pid in process::descendants(*worker).into_iter().chain([*worker]) {
                if let Some(peak) = process::peak_bytes(pid) {
                    let known = peaks.entry(pid).or_default();
                    *known = peak.max(*known);
                }
            }
        }
    }

    /// Whether a worker has processes below it.
    pub fn is_busy(&self) -> bool {
        self.workers.iter().any(|worker| !process::descendants(*worker).is_empty())
    }

    /// Ends.
    pub fn stop(mut self) -> anyhow::Result<Usage> {
        self.look();
        let now = read(&self.workers, &self.others)?;
        Ok(Usage {
            cpu_seconds: now.workers - self.began.workers,
            other_cpu_seconds: now.others - self.began.others,
            peak_rss_bytes: self.peaks.iter().map(|peaks| peaks.values().sum()).max().unwrap_or(0),
        })
    }
}

fn read(workers: &[i32], others: &[i32]) -> anyhow::Result<Reading> {
    let sum = |pids: &[i32]| pids.iter().map(|pid| process::cpu_of_tree(*pid)).sum::<anyhow::Result<f64>>();
    Ok(Reading { workers: sum(workers)?, others: sum(others)? })
}

use super::Cluster;

/// What runs of a cluster.
#[derive(Debug)]
pub struct Status {
    /// Each process: its name, its number, and whether it runs.
    pub processes: Vec<(String, i32, bool)>,
}

impl Cluster {
    /// What runs.
    pub fn status(&self) -> Status {
        let state = |(name, process): (&String, &mut crate::process::Process)| {
            (name.clone(), process.pid().as_raw(), process.runs())
        };
        Status { processes: self.processes().iter_mut().map(state).collect() }
    }
}

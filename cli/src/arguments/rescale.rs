//! `flott rescale`

use clap::Args;

use super::{Json, Target};

/// `flott rescale`
#[derive(Debug, Args)]
pub struct Rescale {
    #[command(flatten)]
    pub target: Target,
    /// Parallelism of the job: of all vertices that have that, and none of their own.
    #[arg(short = 'p', long, value_name = "N", required_unless_present = "vertices")]
    pub parallelism: Option<u32>,
    /// Parallelism of one vertex, by its id or its name, for example `--vertex cbc357ccb763df2852fee8c4fc7d55f2=4`. May be
    /// repeated; comes before `-p`.
    #[arg(long = "vertex", value_name = "VERTEX=N")]
    pub vertices: Vec<String>,
    /// Returns once the job is being rescaled, with the id under which REST says how that has ended.
    #[arg(long)]
    pub detached: bool,
    /// The job.
    #[arg(value_name = "JOB-ID")]
    pub job: String,
    #[command(flatten)]
    pub json: Json,
}

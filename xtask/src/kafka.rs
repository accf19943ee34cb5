//! A Kafka broker to try things with: `cargo xtask kafka up`.

use anyhow::Context;
use clap::Subcommand;
use flott_kafka_broker::{Daemon, jars};

use crate::workspace;

/// What to do with the workspace's broker.
#[derive(Subcommand)]
pub enum Task {
    /// Start it unless it runs, and print the address that clients take; jars are fetched the first time
    Up,
    /// Stop it, and remove what it has stored
    Down {
        /// Leave what it has stored for the next `up`
        #[arg(long)]
        keep: bool,
    },
    /// Print the address if it runs; fail if it does not
    Status,
    /// Only fetch the jars
    Fetch,
}

pub fn run(task: &Task) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let daemon = Daemon::at(workspace::target_directory(&root)?.join("kafka"));
    match task {
        Task::Up => {
            jars::fetch()?;
            println!("{}", daemon.up()?);
        }
        Task::Down { keep } => daemon.down(*keep)?,
        Task::Status => println!("{}", daemon.running()?.context("no broker runs (cargo xtask kafka up)")?),
        Task::Fetch => println!("{}", jars::fetch()?.display()),
    }
    Ok(())
}

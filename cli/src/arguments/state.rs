//! Verbs that read snapshots.

use clap::{Args, Subcommand};

use super::Json;

/// `flott state`
#[derive(Debug, Subcommand)]
pub enum State {
    /// Lists the states in a savepoint or checkpoint: of which operator, of which type, how much.
    Ls(Ls),
    /// Prints the entries of states, a line of JSON each.
    Cat(Cat),
    /// Compares two savepoints or checkpoints: states that are in one alone, and what has been added, removed and changed.
    Diff(Diff),
}

/// `flott state ls`
#[derive(Debug, Args)]
pub struct Ls {
    /// Savepoint or checkpoint: its directory, or the manifest in it.
    #[arg(value_name = "PATH")]
    pub path: String,
    #[command(flatten)]
    pub json: Json,
}

/// Of which states.
#[derive(Debug, Args)]
pub struct Of {
    /// Those of this operator alone: its uid, its name or its id.
    #[arg(long, value_name = "OPERATOR")]
    pub operator: Option<String>,
    /// Those of this name alone.
    #[arg(long, value_name = "NAME")]
    pub state: Option<String>,
}

impl Of {
    /// Whether it names any, rather than all.
    pub fn names_any(&self) -> bool {
        self.operator.is_some() || self.state.is_some()
    }
}

/// `flott state cat`
#[derive(Debug, Args)]
pub struct Cat {
    #[command(flatten)]
    pub of: Of,
    /// Most entries of each state that are printed.
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<usize>,
    /// Savepoint or checkpoint: its directory, or the manifest in it.
    #[arg(value_name = "PATH")]
    pub path: String,
}

/// `flott state diff`
#[derive(Debug, Args)]
pub struct Diff {
    #[command(flatten)]
    pub of: Of,
    /// The one before.
    #[arg(value_name = "BEFORE")]
    pub before: String,
    /// The one after.
    #[arg(value_name = "AFTER")]
    pub after: String,
    #[command(flatten)]
    pub json: Json,
}

//! Ten thousand subtasks in the simulation.

use anyhow::bail;

/// Not measured.
pub fn measure() -> anyhow::Result<()> {
    bail!("the simulation offers no deployment of ten thousand subtasks to measure")
}

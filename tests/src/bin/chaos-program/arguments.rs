//! What the program is told: `PROGRAM [key=value…]`.

use std::{path::PathBuf, str::FromStr};

use crate::programs::Program;

/// All settings.
#[derive(Debug)]
pub struct Arguments {
    /// What is computed.
    pub program: Program,
    /// How many events of each source there are.
    pub records: u64,
    /// In how many seconds a source gives them; as fast as can be without it.
    pub seconds: Option<f64>,
    /// Other seeds, other events.
    pub seed: u64,
    /// Each result once, at the end.
    pub batch: bool,
    /// Each sink has a directory of its own in here.
    pub output: PathBuf,
}

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Result<Self, String> {
        let mut given = std::env::args().skip(1);
        let program = given.next().ok_or("arguments: PROGRAM [key=value…]")?.parse()?;
        let (mut records, mut seconds, mut seed, mut batch, mut output) = (1000, None, 0, false, None);
        for pair in given {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not key=value"))?;
            match key {
                "records" => records = number(value)?,
                "seconds" => seconds = Some(number(value)?),
                "seed" => seed = number(value)?,
                "batch" => batch = number(value)?,
                "output" => output = Some(value.into()),
                other => return Err(format!("there is no setting {other:?}")),
            }
        }
        Ok(Self { program, records, seconds, seed, batch, output: output.ok_or("output=DIR is missing")? })
    }

    /// Events per second of each source.
    pub fn rate(&self) -> Option<f64> {
        self.seconds.map(|seconds| self.records as f64 / seconds)
    }
}

fn number<N: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

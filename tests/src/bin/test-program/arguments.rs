//! What the program is told: `NAME [key=value…]`, the name first, which is the job's.

use std::{path::PathBuf, str::FromStr};

use crate::{odd_plan::OddPlan, trouble::Trouble};

/// The job of this name takes its settings from the home directory, for command lines that leave no room for them.
const FROM_HOME: &str = "test-flink";

/// All settings.
#[derive(Debug)]
pub struct Arguments {
    /// The job's.
    pub name: String,
    /// How many numbers there are.
    pub records: u64,
    /// How many splits they come in; one for each reader without it.
    pub splits: Option<u64>,
    /// How many keys.
    pub keys: u64,
    /// One final count per key.
    pub batch: bool,
    /// The second half of the records comes when this file is there.
    pub hold: Option<PathBuf>,
    /// Until then, a split gives so many records at a time, 50 times a second; all of the first half at once without it.
    pub pace: Option<u64>,
    /// Each number is its own timestamp.
    pub timed: bool,
    /// Counts are of windows of so many numbers, which end with the input.
    pub windows: Option<u64>,
    /// Time goes on with the numbers, and each tenth of them stays behind at the beginning.
    pub late: bool,
    /// Where lines are written; nowhere without it.
    pub output: Option<PathBuf>,
    /// Lines go to a directory for each last digit of their keys, in files that roll after a few kilobytes.
    pub partitioned: bool,
    /// No result goes on before this file is there: what is behind takes nothing.
    pub gate: Option<PathBuf>,
    /// The numbers themselves are the lines, with no state between.
    pub plain: bool,
    /// Counts are those of a function with state, rather than the library's.
    pub by_function: bool,
    /// The uid of the operator that counts, if it is to have one.
    pub uid: Option<String>,
    /// Another operator stands before the one that counts.
    pub rearranged: bool,
    /// What goes wrong.
    pub trouble: Option<Trouble>,
    /// At which record.
    pub at: u64,
    /// It goes wrong only as long as this file is not there; it is made then.
    pub once: Option<PathBuf>,
    /// It goes wrong at whatever record comes when this file is there, which is removed then.
    pub when: Option<PathBuf>,
    /// What goes wrong before the job begins.
    pub plan: Option<OddPlan>,
    /// Nothing of all this, but a job with every kind of state. It wants `hold` and `output`.
    pub every_state: bool,
    /// How long that keeps what fades, in milliseconds.
    pub fading_ms: u64,
    /// Nothing of all this, but two sources that know of each other by this directory.
    pub race: Option<PathBuf>,
}

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Result<Self, String> {
        let mut given = std::env::args().skip(1);
        let name = given.next().ok_or("arguments: NAME [key=value…]")?;
        let mut arguments = Self {
            name,
            records: 1000,
            splits: None,
            keys: 10,
            batch: false,
            hold: None,
            pace: None,
            timed: false,
            windows: None,
            late: false,
            output: None,
            partitioned: false,
            gate: None,
            plain: false,
            by_function: false,
            uid: None,
            rearranged: false,
            trouble: None,
            at: 0,
            once: None,
            when: None,
            plan: None,
            every_state: false,
            fading_ms: 1,
            race: None,
        };
        if arguments.name == FROM_HOME {
            let home = PathBuf::from(std::env::var_os("HOME").ok_or("HOME is not set")?);
            (arguments.hold, arguments.output) = (Some(home.join("hold")), Some(home.join("output")));
        }
        for pair in given {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not key=value"))?;
            match key {
                "records" => arguments.records = number(value)?,
                "splits" => arguments.splits = Some(number(value)?.max(1)),
                "keys" => arguments.keys = number(value)?.max(1),
                "batch" => arguments.batch = value == "true",
                "hold" => arguments.hold = Some(value.into()),
                "pace" => arguments.pace = Some(number(value)?.max(1)),
                "timed" => arguments.timed = value == "true",
                "windows" => arguments.windows = Some(number(value)?.max(1)),
                "late" => arguments.late = value == "true",
                "output" => arguments.output = Some(value.into()),
                "partitioned" => arguments.partitioned = value == "true",
                "gate" => arguments.gate = Some(value.into()),
                "plain" => arguments.plain = value == "true",
                "by-function" => arguments.by_function = value == "true",
                "uid" => arguments.uid = Some(value.to_owned()),
                "rearranged" => arguments.rearranged = value == "true",
                "trouble" => arguments.trouble = Some(value.parse()?),
                "at" => arguments.at = number(value)?,
                "once" => arguments.once = Some(value.into()),
                "when" => arguments.when = Some(value.into()),
                "plan" => arguments.plan = Some(value.parse()?),
                "every-state" => arguments.every_state = value == "true",
                "fading" => arguments.fading_ms = number(value)?,
                "race" => arguments.race = Some(value.into()),
                other => return Err(format!("there is no setting {other:?}")),
            }
        }
        Ok(arguments)
    }
}

fn number(text: &str) -> Result<u64, String> {
    u64::from_str(text).map_err(|error| format!("{text:?}: {error}"))
}

//! Much state: a value of some bytes per key, which each record of the key replaces.
//!
//! The keys are filled in order first, as fast as it goes; from then on a paced source names them at random. Subtasks say
//! when they have seen records, so that a pause can be told from outside: a line of microseconds since 1970, subtask and
//! attempt into a file of each, a thousand times a second at most.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use flott::{Environment, FunctionResult, GeneratorSource, KeyedContext, KeyedOpen, KeyedProcessFunction, ValueState};

use crate::mix::mix;

/// How much of it, and where the lines go.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keys; not 0.
    pub keys: u64,
    /// Bytes of each value.
    pub bytes: usize,
    /// Values that are replaced in a second, all subtasks together.
    pub rate: u64,
    /// Directory for the files of lines.
    pub beats: PathBuf,
}

/// Both sources, by the key, the values, discard.
pub fn plan(env: &Environment, options: Options) {
    let Options { keys, bytes, rate, beats } = options;
    let fill = env.generate(keys, |number| number).name("fill");
    let paced = GeneratorSource::new(u64::MAX, move |number| mix(number) % keys).rate(rate as f64);
    fill.union([&env.generator(paced).name("paced")])
        .key_by(|key| *key)
        .process(Values { bytes, beats, value: ValueState::default(), file: None, last_us: 0 })
        .name("values")
        .discard();
}

#[derive(Clone)]
struct Values {
    bytes: usize,
    beats: PathBuf,
    value: ValueState<Bytes>,
    file: Option<(Arc<File>, String)>,
    last_us: u64,
}

const BETWEEN_BEATS_US: u64 = 1_000;

impl KeyedProcessFunction for Values {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.value = ctx.value("value")?;
        let attempt = &ctx.task().attempt;
        fs::create_dir_all(&self.beats)?;
        let file = File::options().create(true).append(true).open(self.beats.join(attempt.to_string()))?;
        self.file = Some((Arc::new(file), format!(" {attempt}\n")));
        Ok(())
    }

    fn process(&mut self, key: u64, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
        self.value.set(ctx, value(key ^ now_us, self.bytes).into())?;
        if now_us.saturating_sub(self.last_us) >= BETWEEN_BEATS_US {
            self.last_us = now_us;
            if let Some((file, end)) = &self.file {
                (&**file).write_all(format!("{now_us}{end}").as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Bytes that do not compress.
fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let words = (0..bytes.div_ceil(8) as u64).flat_map(|word| mix(seed ^ word).to_le_bytes());
    words.take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length_and_differ() {
        assert_eq!(value(1, 1_003).len(), 1_003);
        assert_ne!(value(1, 100), value(2, 100));
        assert_eq!(value(1, 0), Vec::<u8>::new());
    }
}

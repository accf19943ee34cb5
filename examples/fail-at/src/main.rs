//! Fails on purpose, so that one can see what a restart does.

use std::path::PathBuf;

use clap::Parser;
use flott::{Context, Environment, FunctionResult, OpenContext, ProcessFunction};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Passes numbers on, and panics at one of them in its first attempts")]
struct Arguments {
    /// Which record to panic at, from 0
    #[arg(long, default_value_t = 1_000)]
    record: u64,

    /// In how many attempts
    #[arg(long, default_value_t = 1)]
    times: u32,

    /// How many records there are
    #[arg(long, default_value_t = 10_000)]
    records: u64,

    /// Directory to write the records to; without one, they are dropped
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone)]
struct FailAt {
    record: u64,
    times: u32,
    attempt: u32,
}

impl ProcessFunction for FailAt {
    type In = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.attempt = ctx.task().attempt.attempt.0;
        Ok(())
    }

    fn process(&mut self, record: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        if record == self.record && self.attempt < self.times {
            panic!("failing on purpose at record {record} in attempt {}", self.attempt);
        }
        ctx.emit(record);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let Arguments { record, times, records, output } = Arguments::parse();
    let env = Environment::new();
    let numbers = env.generate(records, |number| number).process(FailAt { record, times, attempt: 0 }).name("fail");
    match output {
        Some(directory) => numbers.write_text(directory),
        None => numbers.discard(),
    };
    env.execute("Fail At")?;
    Ok(())
}

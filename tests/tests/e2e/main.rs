//! End-to-end tests: the real binaries, real processes, and what a person or a script sees of them.
//!
//! # Layout
//! - `programs`: the examples, in all modes
//! - `command_line`: verbs, options, texts and exit codes
//! - `nexmark`: answers of the benchmark's queries
//! - `parts`: jobs of which a part is lost or cut off
//! - `clocks`: clocks that are set while a job runs
//! - `per_job`: clusters for one job, attached, detached, and in the old YARN spelling
//! - `rest`: the endpoint
//! - `metrics`: what is collected of a cluster, against what REST says
//! - `late`: late records that are dropped
//! - `savepoints`: savepoints and checkpoints that are asked for
//! - `remembered`: what a JobManager knows of what was before it
//! - `rescale`: running jobs that get another parallelism
//! - `standby`: several JobManagers, of which one leads
//! - `state_kept`: what jobs remember when they go on from a savepoint or checkpoint
//! - `taken_up`: jobs that go on from a checkpoint or savepoint
//! - `chaos`: processes that are killed and stopped by plans
//! - `failures`: processes that are killed
//! - `isolation`: programs that misbehave beside others that do not
//! - `bad_programs`: programs that cannot be run
//! - `bad_graphs`: job graphs that must be refused
//! - `bad_surroundings`: inputs, outputs, ports and settings that do not serve
//! - `drain`: windows of jobs that are stopped, with time drained and without
//! - `every_state`: every kind of state, in savepoints that builds of each version of the format wrote
//! - `exactly_once`: what checkpoints save when processes are killed
//! - `supervised`: JobManagers of one job that somebody starts again
//! - `takeover`: JobManagers that are killed, and the next ones
//! - `tls`: clusters whose REST port speaks TLS
//! - `torn`: control connections that tear
//! - `unaligned`: checkpoints of jobs that are stuck
//! - `units`: what systemd starts on the hosts of a pool
//! - `workers`: TaskManagers that come by themselves, and jobs that wait for them

mod bad_graphs;
mod bad_programs;
mod bad_surroundings;
mod chaos;
mod claimed;
mod clocks;
mod command_line;
mod damaged;
mod drain;
mod every_state;
mod exactly_once;
mod failures;
mod isolation;
mod late;
mod metrics;
mod nexmark;
mod parts;
mod per_job;
mod programs;
mod reactive;
mod remembered;
mod rescale;
mod rest;
mod savepoints;
mod standby;
mod state_kept;
mod supervised;
mod taken_up;
mod takeover;
mod tls;
mod torn;
mod unaligned;
mod units;
mod workers;

//! Pipelines that are cut by snapshots, at any place and any number of times, and started from them with as many subtasks as
//! before or another number: they come to what they come to undisturbed.

mod calls;
mod functions;
mod joins;
mod large;
mod script;
mod sinks;
mod slow_sinks;
mod time;
mod unaligned;
mod windows;

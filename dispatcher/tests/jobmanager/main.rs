//! A whole JobManager over TCP, with TaskManagers that are played by the tests.

mod cluster;
mod graph;
mod place;
mod shape;
mod worker;

mod access;
mod checkpoints;
mod disposal;
mod hostile;
mod jars;
mod leftovers;
mod life;
mod metrics;
mod recovering;
mod rescale_history;
mod shapes;
mod submission;
mod undertaken;

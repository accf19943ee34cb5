//! Answers and requests as they stand on the wire, field by field as Flink 2.3 names them. No logic: [`super::render`]
//! fills the answers.

mod cluster;
mod flott;
mod jar;
mod job;
mod vertex;
mod worker;

pub use cluster::*;
pub use flott::*;
pub use jar::*;
pub use job::*;
pub use vertex::*;
pub use worker::*;

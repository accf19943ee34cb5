//! The two shapes in which Flink shows a plan.
//!
//! [`rest_plan`] is what REST answers: one node per vertex, with the chain drawn as a tree. [`info_plan`] is what
//! `flink info` prints: one node per operator. Both take the parallelism of vertices that leave theirs open. They show
//! any graph, also one that [`check`](super::check) would refuse.

mod html;
mod info;
mod rest;
#[cfg(test)]
mod tests;

pub use info::{InfoNode, InfoPlan, InfoPredecessor, info_plan};
pub use rest::{NoProperties, RestPlan, RestPlanInput, RestPlanNode, rest_plan};

//! Every configuration key, by theme.
//!
//! Keys have Flink's names where they mean the same. A key is declared once, here; the doc comment is also the text of
//! the reference page, and says units and what 0 or absence means.

use super::option::{ConfigMap, Section};

pub mod checkpointing;
pub mod client;
pub mod cluster;
pub mod execution;
pub mod jobmanager;
pub mod pipeline;
pub mod rest;
pub mod restart;
pub mod security;
pub mod slots;
pub mod taskmanager;

pub(super) static SECTIONS: [&Section; 11] = [
    &rest::SECTION,
    &security::SECTION,
    &jobmanager::SECTION,
    &taskmanager::SECTION,
    &slots::SECTION,
    &cluster::SECTION,
    &pipeline::SECTION,
    &execution::SECTION,
    &restart::SECTION,
    &checkpointing::SECTION,
    &client::SECTION,
];

pub(super) static MAPS: [&ConfigMap; 1] = [&pipeline::GLOBAL_JOB_PARAMETERS];

//! Every configuration key, by theme.
//!
//! Keys have Flink's names where they mean the same. A key is declared once, here; the doc comment is also the text of
//! the reference page, and says units and what 0 or absence means.

use super::option::{ConfigMap, Section};

pub mod adaptive;
pub mod checkpointing;
pub mod client;
pub mod cluster;
pub mod execution;
pub mod high_availability;
pub mod jobmanager;
pub mod kubernetes;
pub mod pipeline;
pub mod rest;
pub mod restart;
pub mod s3;
pub mod security;
pub mod slots;
pub mod state;
pub mod taskmanager;

pub(super) static SECTIONS: [&Section; 16] = [
    &rest::SECTION,
    &security::SECTION,
    &jobmanager::SECTION,
    &taskmanager::SECTION,
    &slots::SECTION,
    &cluster::SECTION,
    &high_availability::SECTION,
    &kubernetes::SECTION,
    &pipeline::SECTION,
    &execution::SECTION,
    &restart::SECTION,
    &adaptive::SECTION,
    &checkpointing::SECTION,
    &s3::SECTION,
    &state::SECTION,
    &client::SECTION,
];

pub(super) static MAPS: [&ConfigMap; 9] = [
    &taskmanager::PROGRAM_ENV,
    &pipeline::GLOBAL_JOB_PARAMETERS,
    &kubernetes::JOBMANAGER_LABELS,
    &kubernetes::JOBMANAGER_ANNOTATIONS,
    &kubernetes::JOBMANAGER_NODE_SELECTOR,
    &kubernetes::TASKMANAGER_LABELS,
    &kubernetes::TASKMANAGER_ANNOTATIONS,
    &kubernetes::TASKMANAGER_NODE_SELECTOR,
    &kubernetes::SECRETS,
];

//! The chart, rendered by the real `helm` from several sets of values.

mod checked;
mod configuration;
mod members;
mod metrics;
mod pages;
mod refused;
mod security;
mod tls;

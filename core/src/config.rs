//! Configuration: every key declared once, with type, default, unit and doc.
//!
//! Settings come from three places, each stronger than the one before: one YAML file, the environment (`FLOTT_*`), and
//! `-D key=value`. They are checked once, when they are loaded; a [`Configuration`] only holds known keys with values
//! that fit, so [`Configuration::get`] cannot fail. The declarations in [`keys`] are also what the reference page is
//! made of ([`reference_markdown`]).
//!
//! This module opens no file and reads no environment: [`Loader`] is given their contents.
//!
//! # Layout
//! - [`keys`]: the declarations, one file per theme
//! - `option`, `value`, `host_port`: what a declaration is, and the types that values can have
//! - `registry`: finding a declaration by name; nearest names
//! - `accepted`: foreign keys that are accepted without effect, or refused by name
//! - `loader`, `yaml`, `environment`: from texts to a configuration
//! - `configuration`: the checked result
//! - `restart`: the restart strategy that a configuration asks for
//! - `secret`: which values are never shown
//! - `reference`: the reference page

mod accepted;
mod configuration;
pub mod environment;
mod error;
mod host_port;
pub mod keys;
mod loader;
mod option;
mod reference;
mod registry;
mod restart;
mod secret;
mod value;
mod yaml;

pub use configuration::Configuration;
pub use error::{ConfigError, Origin, Warning};
pub use host_port::HostPort;
pub use loader::{Loaded, Loader};
pub use option::{ConfigMap, ConfigOption};
pub use reference::reference_markdown;
pub use registry::nearest_of;
pub use secret::{MASK, is_secret};
pub use value::{BareSeconds, ConfigValue, PortRange};

//! Byte streams for connections to run over.

pub mod http;
mod memory;
mod prefixed;
pub mod unix;

pub use memory::memory;
pub use prefixed::Prefixed;

//! TLS of this process.

use rustls::crypto::{CryptoProvider, ring};

/// Chooses the cryptography of the whole process, unless somebody has. HTTP clients that can do TLS cannot be made before.
pub fn provide() {
    if CryptoProvider::get_default().is_none() {
        // If another thread is quicker, there is one as well.
        drop(ring::default_provider().install_default());
    }
}

//! The process's provider of cryptography.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Makes aws-lc-rs the process's provider of cryptography. Call it first in `main`; calling it
/// again does nothing.
pub fn install_provider() {
    // An error means that one is installed already, which is what we want.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    install_provider();
    let installed = CryptoProvider::get_default();
    installed.cloned().unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

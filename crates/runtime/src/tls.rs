//! TLS 1.3, certificates of our own authority, and who is at the other end.
//!
//! A certificate names its holder by exactly one URI (an [`Identity`]); nobody is known by host
//! name or address, except where a public authority's certificate is checked by the ordinary rules
//! of the web. Every configuration here verifies.

mod authority;
mod certificate;
mod config;
mod explain;
mod first_contact;
mod key;
mod store;
mod verify;

pub use authority::{Authority, Purpose};
pub use certificate::{PeerCertificate, fingerprint, peer_of};
pub use config::{Alpn, ClientAuth, Expect, TrustRoots, client_config, server_config};
pub use explain::explain;
pub use first_contact::{Pin, certificate_pem, pinned_client_config, presented_authority};
pub use key::{KeyPkcs8Der, csr_public_key, new_key, signing_request};
use peral_model::Identity;
pub use store::CertStore;
pub use verify::WrongIdentity;

/// What goes wrong with keys and certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A signing request that is malformed, of another key type, or not signed by its own key: its
    /// sender's fault.
    #[error("the signing request is refused: {0}")]
    Request(String),
    /// A certificate that is malformed or not of our kind.
    #[error("the certificate is refused: {0}")]
    Certificate(String),
    /// A private key that cannot be read or does not belong to its certificate.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// A certificate could not be made.
    #[error("no certificate could be made for {identity}: {reason}")]
    Issue {
        /// For whom.
        identity: String,
        /// Why not.
        reason: String,
    },
    /// There is no authority to trust.
    #[error("no certificate authority to trust: {0}")]
    Roots(String),
    /// Text that is no fingerprint.
    #[error("{0:?} is no SHA-256 fingerprint: 32 bytes in hexadecimal, with or without colons")]
    Fingerprint(String),
}

impl TlsError {
    fn issue(identity: &Identity, reason: &impl ToString) -> Self {
        Self::Issue { identity: identity.to_string(), reason: reason.to_string() }
    }
}

/// Makes aws-lc-rs the process's provider of cryptography. Call it first in `main`; calling it
/// again does nothing.
pub fn install_provider() {
    // An error means that one is installed already, which is what we want.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

pub(crate) fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    install_provider();
    let installed = rustls::crypto::CryptoProvider::get_default();
    installed
        .cloned()
        .unwrap_or_else(|| std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

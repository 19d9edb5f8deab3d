//! Keys and certificates that cannot be used.

use peral_model::Identity;

/// A key or certificate that cannot be used.
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
    /// A certificate could not be issued.
    #[error("cannot issue a certificate for {identity}: {reason}")]
    Issue {
        /// The holder.
        identity: String,
        /// What failed.
        reason: String,
    },
    /// The set of trusted authorities is empty or cannot be read.
    #[error("no certificate authority to trust: {0}")]
    Roots(String),
    /// A text that is not a fingerprint.
    #[error("{0:?} is not a SHA-256 fingerprint: 32 bytes in hexadecimal, with or without colons")]
    Fingerprint(String),
}

impl TlsError {
    pub(super) fn issue(identity: &Identity, reason: &impl ToString) -> Self {
        Self::Issue { identity: identity.to_string(), reason: reason.to_string() }
    }
}

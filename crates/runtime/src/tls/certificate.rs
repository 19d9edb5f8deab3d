//! Reading certificates of our own authority.

use aws_lc_rs::digest::{SHA256, digest};
use peral_model::{AccountId, Identity};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::{TlsError, key::p256_point};

/// Who is at the other end of a connection, as its certificate says. The certificate was verified
/// before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The one URI in its names.
    pub identity: Identity,
    /// The account of a user or peer; central has none.
    pub account: Option<AccountId>,
    /// Milliseconds since 1970 after which it is no longer valid.
    pub not_after_ms: i64,
    /// Its public key: an uncompressed P-256 point, 65 bytes.
    pub public_key: Vec<u8>,
}

/// Reads a certificate. Does not verify it: the TLS handshake does.
///
/// # Errors
/// [`TlsError::Certificate`]: malformed, not exactly one URI that is an identity, no account where
/// there must be one, another kind of key.
pub fn peer_of(cert_der: &[u8]) -> Result<PeerCertificate, TlsError> {
    let refuse = |reason: &str| TlsError::Certificate(reason.into());
    let (rest, certificate) = X509Certificate::from_der(cert_der)
        .map_err(|_| refuse("it is not an X.509 certificate"))?;
    if !rest.is_empty() {
        return Err(refuse("it has trailing bytes"));
    }
    let identity = only_uri(&certificate)?
        .parse::<Identity>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let account = match identity {
        Identity::Central => None,
        Identity::Peer(_) | Identity::User(_) => {
            Some(account_of(&certificate).ok_or_else(|| refuse("it does not name an account"))?)
        }
    };
    let public_key = p256_point(certificate.public_key())
        .ok_or_else(|| refuse("its key is not an ECDSA key on P-256"))?;
    let not_after_ms = certificate.validity().not_after.timestamp().saturating_mul(1000);
    Ok(PeerCertificate { identity, account, not_after_ms, public_key })
}

fn only_uri<'a>(certificate: &X509Certificate<'a>) -> Result<&'a str, TlsError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let mut uris =
        names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        (None, _) => {
            Err(TlsError::Certificate("it does not contain an identity of this network".into()))
        }
        (Some(_), Some(_)) => {
            Err(TlsError::Certificate("it contains more than one identity".into()))
        }
    }
}

fn account_of(certificate: &X509Certificate<'_>) -> Option<AccountId> {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// The SHA-256 fingerprint of a certificate (DER), as `openssl x509 -fingerprint -sha256` prints
/// it: `AB:CD:…`.
pub fn fingerprint(cert_der: &[u8]) -> String {
    colons(digest(&SHA256, cert_der).as_ref())
}

/// Upper-case hexadecimal with a colon between two bytes.
pub(super) fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| hex::encode_upper([*byte])).collect::<Vec<_>>().join(":")
}

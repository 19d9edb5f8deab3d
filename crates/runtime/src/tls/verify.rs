//! Verifiers: the chain as rustls checks it, and the identity in place of a host name.

use std::sync::Arc;

use peral_model::Identity;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{peer_of, provider};

/// Somebody else answers at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} answers where {expected} was expected")]
pub struct WrongIdentity {
    /// Whom the caller wanted.
    pub expected: Identity,
    /// Who is there.
    pub found: Identity,
}

/// The certificate chains to the roots, may be used by a server, is valid now, and names the expected identity.
pub(super) fn verify_identity(
    roots: &RootCertStore,
    expected: Identity,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: WebPkiSupportedAlgorithms,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all)?;
    let found = peer_of(end_entity).map_err(other)?.identity;
    if found == expected { Ok(ServerCertVerified::assertion()) } else { Err(other(WrongIdentity { expected, found })) }
}

pub(super) fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// TLS 1.3 is the only version spoken.
pub(super) fn no_tls12() -> Error {
    Error::General("only TLS 1.3 is spoken here".into())
}

/// Dials by address, verifies by identity.
#[derive(Debug)]
pub(super) struct IdentityVerifier {
    roots: Arc<RootCertStore>,
    expected: Identity,
    algorithms: WebPkiSupportedAlgorithms,
}

impl IdentityVerifier {
    pub(super) fn new(roots: Arc<RootCertStore>, expected: Identity) -> Self {
        Self { roots, expected, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for IdentityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_identity(&self.roots, self.expected, end_entity, intermediates, now, self.algorithms)
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

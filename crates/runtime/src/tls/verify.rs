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

/// Another identity answers at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} answers where {expected} was expected")]
pub struct WrongIdentity {
    /// The identity that the caller expected.
    pub expected: Identity,
    /// The identity in the certificate.
    pub found: Identity,
}

/// What a server presents in its handshake.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    pub end_entity: &'a CertificateDer<'a>,
    pub intermediates: &'a [CertificateDer<'a>],
    pub now: UnixTime,
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// Decides whether a server is the expected one.
pub(super) trait Judge: std::fmt::Debug + Send + Sync {
    fn judge(&self, presented: Presented<'_>) -> Result<ServerCertVerified, Error>;
}

/// A verifier that leaves the certificate to a [`Judge`] and checks signatures as rustls does. It
/// accepts TLS 1.3 only.
#[derive(Debug)]
pub(super) struct ServerVerifier<J> {
    pub judge: J,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<J> ServerVerifier<J> {
    pub fn new(judge: J) -> Self {
        Self { judge, algorithms: provider().signature_verification_algorithms }
    }
}

impl<J: Judge> ServerCertVerifier for ServerVerifier<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(Presented { end_entity, intermediates, now, algorithms: self.algorithms })
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is supported".into()))
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

/// The certificate chains to the roots, may be used by a server, is valid now, and names the
/// expected identity.
pub(super) fn verify_identity(
    roots: &RootCertStore,
    expected: Identity,
    presented: Presented<'_>,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(presented.end_entity)?;
    verify_server_cert_signed_by_trust_anchor(
        &parsed,
        roots,
        presented.intermediates,
        presented.now,
        presented.algorithms.all,
    )?;
    let found = peer_of(presented.end_entity).map_err(other)?.identity;
    if found == expected {
        Ok(ServerCertVerified::assertion())
    } else {
        Err(other(WrongIdentity { expected, found }))
    }
}

pub(super) fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// Dials by address, verifies by identity.
pub(super) fn identity_verifier(
    roots: Arc<RootCertStore>,
    expected: Identity,
) -> ServerVerifier<impl Judge> {
    ServerVerifier::new(ByIdentity { roots, expected })
}

#[derive(Debug)]
struct ByIdentity {
    roots: Arc<RootCertStore>,
    expected: Identity,
}

impl Judge for ByIdentity {
    fn judge(&self, presented: Presented<'_>) -> Result<ServerCertVerified, Error> {
        verify_identity(&self.roots, self.expected, presented)
    }
}

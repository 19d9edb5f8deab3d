//! First contact: a network whose authority is known by its fingerprint, or not yet at all.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use peral_model::Identity;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;

use super::{
    TlsError, config, fingerprint, provider,
    verify::{no_tls12, other, verify_identity},
};

/// A certificate authority known by its SHA-256 fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// Reads a fingerprint as `central init` or openssl prints it; colons and case do not matter.
    ///
    /// # Errors
    /// [`TlsError::Fingerprint`].
    pub fn new(text: &str) -> Result<Self, TlsError> {
        let refuse = || TlsError::Fingerprint(text.into());
        let digits = text.trim().replace(':', "");
        let bytes = hex::decode(digits).map_err(|_| refuse())?;
        if bytes.len() != 32 {
            return Err(refuse());
        }
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")))
    }

    /// Is this the certificate (DER) that the fingerprint names?
    pub fn matches(&self, cert_der: &[u8]) -> bool {
        fingerprint(cert_der) == self.0
    }
}

/// A client that talks to central when central's chain ends in the authority with this fingerprint, which central sends along.
pub fn pinned_client_config(pin: Pin) -> ClientConfig {
    config::with_verifier(Arc::new(Verifier::new(Trust::Pinned(pin))), None)
}

/// Asks what answers at `stream` for its authority's certificate, so that a person can be shown the [`fingerprint`] and decide.
/// Nothing is trusted and nothing but the handshake is sent: it is broken off when the certificates are there.
///
/// # Errors
/// [`TlsError::Certificate`]: what answers within `deadline` is not Peral's central.
pub async fn presented_authority(stream: TcpStream, deadline: Duration) -> Result<CertificateDer<'static>, TlsError> {
    let verifier = Arc::new(Verifier::new(Trust::Nobody(Mutex::new(None))));
    let config = config::with_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>, None);
    let failed = |reason: &str| TlsError::Certificate(reason.into());
    let address = stream.peer_addr().map_err(|error| TlsError::Certificate(error.to_string()))?;
    let handshake = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream);
    let outcome = tokio::time::timeout(deadline, handshake).await.map_err(|_| failed("no answer in time"))?;
    match (verifier.seen(), outcome) {
        (Some(authority), _) => Ok(authority),
        (None, Err(error)) => Err(TlsError::Certificate(error.to_string())),
        (None, Ok(_)) => Err(failed("it showed none")),
    }
}

/// A certificate in PEM, to be kept.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

#[derive(Debug)]
enum Trust {
    /// Central, under the authority with this fingerprint.
    Pinned(Pin),
    /// Nobody: notes the authority that is consistent with what is shown, and always refuses.
    Nobody(Mutex<Option<CertificateDer<'static>>>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(trust: Trust) -> Self {
        Self { trust, algorithms: provider().signature_verification_algorithms }
    }

    fn seen(&self) -> Option<CertificateDer<'static>> {
        match &self.trust {
            Trust::Pinned(_) => None,
            Trust::Nobody(seen) => seen.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn is_central_under(&self, authority: &CertificateDer<'_>, leaf: &CertificateDer<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        verify_identity(&roots, Identity::Central, leaf, &[], now, self.algorithms)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Pinned(pin) => {
                let authority = intermediates.iter().find(|certificate| pin.matches(certificate));
                let authority = authority.ok_or_else(|| other(TlsError::Roots("the server is not under the one with that fingerprint".into())))?;
                self.is_central_under(authority, end_entity, now)
            }
            Trust::Nobody(seen) => {
                let authority = intermediates.last().ok_or(CertificateError::UnknownIssuer)?;
                self.is_central_under(authority, end_entity, now)?;
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(authority.clone().into_owned());
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
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

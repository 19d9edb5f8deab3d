//! First contact: a network whose authority is known by its fingerprint, or not yet at all.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use peral_model::Identity;
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::danger::{ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

use super::{
    TlsError,
    certificate::colons,
    config, fingerprint,
    verify::{Judge, Presented, ServerVerifier, other, verify_identity},
};
use crate::Lock;

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
        Ok(Self(colons(&bytes)))
    }

    /// Is this the certificate (DER) that the fingerprint names?
    pub fn matches(&self, cert_der: &[u8]) -> bool {
        fingerprint(cert_der) == self.0
    }
}

/// A client that talks to central when central's chain ends in the authority with this fingerprint,
/// which central sends along.
pub fn pinned_client_config(pin: Pin) -> ClientConfig {
    config::with_verifier(Arc::new(ServerVerifier::new(FirstTrust::Pinned(pin))), None)
}

/// Gets the certificate of the authority from the server at `stream`, so that a person can compare
/// the [`fingerprint`] and decide. The server is not trusted: the handshake stops when the
/// certificates have arrived.
///
/// # Errors
/// [`TlsError::Certificate`]: what answers within `deadline` is not Peral's central.
pub async fn presented_authority(
    stream: TcpStream,
    deadline: Duration,
) -> Result<CertificateDer<'static>, TlsError> {
    let verifier = Arc::new(ServerVerifier::new(FirstTrust::Nobody(Mutex::new(None))));
    let config = config::with_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>, None);
    let failed = |reason: &str| TlsError::Certificate(reason.into());
    let address = stream.peer_addr().map_err(|error| TlsError::Certificate(error.to_string()))?;
    let handshake = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(address.ip()), stream);
    let outcome =
        tokio::time::timeout(deadline, handshake).await.map_err(|_| failed("no answer in time"))?;
    match (verifier.judge.seen(), outcome) {
        (Some(authority), _) => Ok(authority),
        (None, Err(error)) => Err(TlsError::Certificate(error.to_string())),
        (None, Ok(_)) => Err(failed("it did not send one")),
    }
}

/// A certificate in PEM.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem::encode_config(
        &pem::Pem::new("CERTIFICATE", certificate.to_vec()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

#[derive(Debug)]
enum FirstTrust {
    /// Central, under the authority with this fingerprint.
    Pinned(Pin),
    /// Nobody: records the authority that the server presents consistently, and always refuses.
    Nobody(Mutex<Option<CertificateDer<'static>>>),
}

impl FirstTrust {
    fn seen(&self) -> Option<CertificateDer<'static>> {
        match self {
            Self::Pinned(_) => None,
            Self::Nobody(seen) => seen.locked().clone(),
        }
    }
}

impl Judge for FirstTrust {
    fn judge(&self, presented: Presented<'_>) -> Result<ServerCertVerified, Error> {
        match self {
            Self::Pinned(pin) => {
                let authority =
                    presented.intermediates.iter().find(|certificate| pin.matches(certificate));
                let authority = authority.ok_or_else(|| {
                    other(TlsError::Roots(
                        "the server is not under the authority with that fingerprint".into(),
                    ))
                })?;
                is_central_under(authority, presented)
            }
            Self::Nobody(seen) => {
                let authority =
                    presented.intermediates.last().ok_or(CertificateError::UnknownIssuer)?;
                is_central_under(authority, presented)?;
                *seen.locked() = Some(authority.clone().into_owned());
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }
}

fn is_central_under(
    authority: &CertificateDer<'_>,
    presented: Presented<'_>,
) -> Result<ServerCertVerified, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned())?;
    verify_identity(&roots, Identity::Central, Presented { intermediates: &[], ..presented })
}

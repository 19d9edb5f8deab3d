//! Credentials: the certificate and the token that are issued for a proof.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Identity};
use peral_runtime::tls::{Purpose, TlsError, csr_public_key};
use peral_wire::{Failure, fail, rest::sessions::Credentials};

use super::app::App;
use crate::{keys, token::Subject};

/// How long the certificate of a user or peer is valid.
const CERTIFICATE: Duration = Duration::from_hours(12);
/// Certificates are valid from so long before they are issued, in milliseconds, because clocks
/// differ.
pub(crate) const BACKDATE_MS: i64 = 5 * 60 * 1000;

/// A signing request, with its key.
pub(super) struct SigningRequest {
    pub der: Vec<u8>,
    pub public_key: Vec<u8>,
}

impl SigningRequest {
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn read(text: &str) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            fail!(InvalidArgument, "cannot use the signing request: {error}")
        };
        let der = STANDARD.decode(text).map_err(|error| refused(&error))?;
        let public_key = csr_public_key(&der).map_err(|error| refused(&error))?;
        Ok(Self { der, public_key })
    }
}

impl App {
    /// When a certificate that is issued now expires.
    pub(super) fn certificate_ends(&self, not_after_ms: i64) -> i64 {
        let life = i64::try_from(CERTIFICATE.as_millis()).unwrap_or(i64::MAX);
        // X.509 counts whole seconds.
        self.now().saturating_add(life).min(not_after_ms) / 1000 * 1000
    }

    /// Issues a certificate and a token for an identity.
    pub(super) fn credentials(
        &self,
        request: &SigningRequest,
        account: AccountId,
        subject: Subject,
        ends_ms: i64,
    ) -> Result<Credentials, Failure> {
        let identity = subject.identity();
        let purpose =
            if matches!(identity, Identity::Peer(_)) { Purpose::Peer } else { Purpose::Client };
        let begin = (self.now() - BACKDATE_MS) / 1000 * 1000;
        let life = Duration::from_millis(u64::try_from(ends_ms - begin).unwrap_or(0));
        let certificate = self
            .keys
            .authority
            .issue(&request.der, &identity, Some(account), purpose, begin, life)
            .map_err(|error| not_issued(&error))?;
        let issued = self.keys.tokens.issue(account, subject, ends_ms, self.now())?;
        Ok(Credentials {
            certificate: keys::pem("CERTIFICATE", &certificate),
            certificate_ends_ms: ends_ms,
            token: issued.token,
            token_ends_ms: issued.ends_ms,
        })
    }
}

fn not_issued(error: &TlsError) -> Failure {
    match error {
        TlsError::Request(_) => fail!(InvalidArgument, "{error}"),
        _ => fail!(Internal, "{error}"),
    }
}

//! Proofs: signed requests, each with a nonce that is good once. And what they earn: certificates
//! and tokens.

use std::{net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Identity};
use peral_runtime::tls::{Purpose, TlsError, csr_public_key};
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::sessions::{Credentials, Nonce},
};
use serde::de::DeserializeOwned;

use super::{App, BACKDATE_MS, CERTIFICATE};
use crate::{keys, limit::address_key, token::Subject};

/// A proof whose signature and nonce are good, but whose nonce is not used yet.
pub(super) struct Checked {
    nonce: Vec<u8>,
    nonce_ends_ms: i64,
}

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
            fail!(InvalidArgument, "the signing request cannot be used: {error}")
        };
        let der = STANDARD.decode(text).map_err(|error| refused(&error))?;
        let public_key = csr_public_key(&der).map_err(|error| refused(&error))?;
        Ok(Self { der, public_key })
    }
}

impl App {
    /// A nonce for a proof.
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub fn nonce(&self, remote: IpAddr) -> Result<Nonce, Failure> {
        self.limits.nonces_from.take(&address_key(remote))?;
        Ok(Nonce { nonce: self.keys.nonces.make(self.now()), network: self.keys.network })
    }

    /// Reads a proof's request, before anything of it is believed.
    pub(super) fn read_proof<T: DeserializeOwned>(
        &self,
        remote: IpAddr,
        proof: &Proven,
    ) -> Result<T, Failure> {
        self.limits.proofs_from.take(&address_key(remote))?;
        // What was not made here is refused before anything is read: the caller has no business
        // with central.
        self.keys.nonces.check(&proof.nonce, self.now())?;
        proof.read()
    }

    /// Checks a proof against the key that it must be of.
    pub(super) fn check_proof(
        &self,
        proof: &Proven,
        public_key: &[u8],
    ) -> Result<Checked, Failure> {
        let nonce_ends_ms = self.keys.nonces.check(&proof.nonce, self.now())?;
        proof.check(self.keys.network, public_key)?;
        Ok(Checked { nonce: proof.nonce.clone().into_bytes(), nonce_ends_ms })
    }

    /// Uses a proof up. Last of all checks, so that strangers cannot make central remember
    /// anything.
    pub(super) async fn use_up(&self, proof: Checked) -> Result<(), Failure> {
        if self.store()?.use_nonce(&proof.nonce, proof.nonce_ends_ms).await? {
            return Ok(());
        }
        Err(fail!(Unauthenticated, "the nonce was used before; ask for a new one"))
    }

    /// When a certificate made now ends.
    pub(super) fn certificate_ends(&self, not_after_ms: i64) -> i64 {
        let life = i64::try_from(CERTIFICATE.as_millis()).unwrap_or(i64::MAX);
        // X.509 counts whole seconds.
        self.now().saturating_add(life).min(not_after_ms) / 1000 * 1000
    }

    /// A certificate and a token for an identity.
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
        let (token, token_ends_ms) =
            self.keys.tokens.make(account, subject, ends_ms, self.now())?;
        Ok(Credentials {
            certificate: keys::pem("CERTIFICATE", &certificate),
            certificate_ends_ms: ends_ms,
            token,
            token_ends_ms,
        })
    }
}

fn not_issued(error: &TlsError) -> Failure {
    match error {
        TlsError::Request(_) => fail!(InvalidArgument, "{error}"),
        _ => fail!(Internal, "{error}"),
    }
}

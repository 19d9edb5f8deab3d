//! Proofs: signed requests, each with a nonce that is good once.

use std::net::IpAddr;

use peral_wire::{Failure, fail, proof::Proven, rest::sessions::Nonce};
use serde::de::DeserializeOwned;

use super::app::App;

/// A proof whose signature and nonce are good, but whose nonce is not used yet.
pub(super) struct CheckedProof {
    nonce: Vec<u8>,
    nonce_ends_ms: i64,
}

impl App {
    /// A nonce for a proof.
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub fn nonce(&self, remote: IpAddr) -> Result<Nonce, Failure> {
        self.attempts.nonce(remote)?;
        Ok(Nonce { nonce: self.keys.nonces.make(self.now()), network: self.keys.network })
    }

    /// Reads a proof's request, before anything of it is believed.
    pub(super) fn read_proof<T: DeserializeOwned>(
        &self,
        remote: IpAddr,
        proof: &Proven,
    ) -> Result<T, Failure> {
        self.attempts.proof(remote)?;
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
    ) -> Result<CheckedProof, Failure> {
        let nonce_ends_ms = self.keys.nonces.check(&proof.nonce, self.now())?;
        proof.check(self.keys.network, public_key)?;
        Ok(CheckedProof { nonce: proof.nonce.clone().into_bytes(), nonce_ends_ms })
    }

    /// Uses a proof up. Last of all checks, so that strangers cannot make central remember
    /// anything.
    pub(super) async fn use_up(&self, proof: CheckedProof) -> Result<(), Failure> {
        if self.store()?.use_nonce(&proof.nonce, proof.nonce_ends_ms).await? {
            return Ok(());
        }
        Err(fail!(Unauthenticated, "the nonce was used before; ask for a new one"))
    }
}

//! Proofs: signed requests, each with a nonce that is valid once.

use std::net::IpAddr;

use peral_wire::{Failure, fail, proof::Proven, rest::sessions::Nonce};
use serde::de::DeserializeOwned;

use super::app::App;

/// A proof with a valid signature and a valid nonce, which is not used up yet.
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
        Ok(Nonce { nonce: self.keys.nonces.issue(self.now()), network: self.keys.network })
    }

    /// Reads the request of a proof, before it is checked.
    pub(super) fn read_proof<T: DeserializeOwned>(
        &self,
        remote: IpAddr,
        proof: &Proven,
    ) -> Result<T, Failure> {
        self.attempts.proof(remote)?;
        // Strangers without a nonce of this network are refused before anything else is read.
        self.keys.nonces.check(&proof.nonce, self.now())?;
        proof.read()
    }

    /// Checks a proof against the key that must have signed it.
    pub(super) fn check_proof(
        &self,
        proof: &Proven,
        public_key: &[u8],
    ) -> Result<CheckedProof, Failure> {
        let nonce_ends_ms = self.keys.nonces.check(&proof.nonce, self.now())?;
        proof.check(self.keys.network, public_key)?;
        Ok(CheckedProof { nonce: proof.nonce.clone().into_bytes(), nonce_ends_ms })
    }

    /// Uses up a proof. This is the last of all checks, so that strangers cannot make central store
    /// anything.
    pub(super) async fn use_up(&self, proof: CheckedProof) -> Result<(), Failure> {
        if self.store()?.use_nonce(&proof.nonce, proof.nonce_ends_ms).await? {
            return Ok(());
        }
        Err(fail!(Unauthenticated, "the nonce was already used; ask for a new one"))
    }
}

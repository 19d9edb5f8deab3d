//! Nonces for proofs: issued without storing anything, and each valid once within two minutes.
//!
//! A nonce is random bytes and the time, with a MAC that only this network's central can compute.
//! The store ensures that it is used once: it remembers used nonces until they have expired.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use peral_wire::{Failure, fail};

/// How long a nonce is valid, in milliseconds.
const LIFE_MS: i64 = 120_000;
const RANDOM: usize = 16;
const TIME: usize = 8;
const MAC: usize = 16;

/// Issues and checks nonces.
pub struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    /// With a key derived from a secret that all replicas of central share.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: blake3::derive_key("peral 2026 nonces of central", secret) }
    }

    /// A fresh nonce.
    pub fn issue(&self, now_ms: i64) -> String {
        let mut bytes = rand::random::<[u8; RANDOM]>().to_vec();
        bytes.extend(now_ms.to_be_bytes());
        bytes.extend(self.mac(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn mac(&self, bytes: &[u8]) -> [u8; MAC] {
        let mut mac = [0; MAC];
        blake3::Hasher::new_keyed(&self.key).update(bytes).finalize_xof().fill(&mut mac);
        mac
    }

    /// Checks that a nonce was issued by this network and has not expired; gives the time when it
    /// expires.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub fn check(&self, nonce: &str, now_ms: i64) -> Result<i64, Failure> {
        let refused =
            || fail!(Unauthenticated, "the nonce was not issued by this network's central");
        let bytes = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| refused())?;
        let (said, mac) = bytes.split_at_checked(RANDOM + TIME).ok_or_else(refused)?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(self.mac(said).as_slice(), mac)) {
            return Err(refused());
        }
        let time = said.last_chunk::<TIME>().ok_or_else(refused)?;
        let ends = i64::from_be_bytes(*time).saturating_add(LIFE_MS);
        if ends <= now_ms {
            return Err(fail!(
                Unauthenticated,
                "the nonce is older than two minutes; ask for a new one"
            ));
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fresh_nonces_of_the_same_secret_pass() {
        let (ours, theirs) = (Nonces::new(b"one"), Nonces::new(b"two"));
        let nonce = ours.issue(1_000);
        assert_eq!(ours.check(&nonce, 1_000), Ok(1_000 + LIFE_MS));
        assert!(ours.check(&nonce, 1_000 + LIFE_MS).is_err(), "too old");
        assert!(theirs.check(&nonce, 1_000).is_err(), "another network's");
        assert_ne!(ours.issue(1_000), nonce);
    }

    #[test]
    fn no_changed_nonce_passes() {
        let nonces = Nonces::new(b"one");
        let bytes = URL_SAFE_NO_PAD.decode(nonces.issue(1_000)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(nonces.check(&URL_SAFE_NO_PAD.encode(changed), 1_000).is_err(), "byte {at}");
        }
        for text in ["", "x", "!!", "AAAA"] {
            assert!(nonces.check(text, 1_000).is_err(), "{text:?}");
        }
    }
}

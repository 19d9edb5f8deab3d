//! Proof of a key: how a caller shows that it holds the private half of the key in its signing
//! request.
//!
//! The signature (ECDSA P-256, SHA-256, ASN.1) covers a domain text, the network's id, a nonce of
//! central's that is good once, and the exact text of the request, so that nothing of it can be
//! copied, changed or sent to another network.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::NetworkId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{Failure, fail};

/// A request that its sender signed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Proven {
    /// The request: JSON, as text, because the signature covers its exact bytes.
    pub request: String,
    /// A nonce from `POST /v1/nonces`, good once.
    pub nonce: String,
    /// Base64 of the signature.
    pub signature: String,
}

fn covered(network: NetworkId, nonce: &str, request: &str) -> Vec<u8> {
    ["peral proof 1", &network.to_string(), nonce, request].join("\n").into_bytes()
}

impl Proven {
    /// Signs a request with a P-256 key in PKCS#8 (DER).
    ///
    /// # Errors
    /// INTERNAL, when the key cannot be used.
    pub fn sign<T: Serialize>(
        request: &T,
        network: NetworkId,
        nonce: String,
        key: &[u8],
    ) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            fail!(Internal, "the identity key cannot be used: {error}")
        };
        let request = serde_json::to_string(request).map_err(|error| unusable(&error))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key)
            .map_err(|error| unusable(&error))?;
        let signature = pair
            .sign(&SystemRandom::new(), &covered(network, &nonce, &request))
            .map_err(|error| unusable(&error))?;
        Ok(Self { signature: STANDARD.encode(signature.as_ref()), request, nonce })
    }

    /// Checks the signature against a public key (uncompressed P-256 point, 65 bytes). The nonce is
    /// checked elsewhere.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub fn check(&self, network: NetworkId, public_key: &[u8]) -> Result<(), Failure> {
        let refused =
            || fail!(Unauthenticated, "the request is not signed by the key that it names");
        let signature = STANDARD.decode(&self.signature).map_err(|_| refused())?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key);
        key.verify(&covered(network, &self.nonce, &self.request), &signature).map_err(|_| refused())
    }

    /// Reads the request, unchecked: its key is needed to check it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.request).map_err(|error| {
            fail!(InvalidArgument, "the request inside the proof cannot be read: {error}")
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_proof_holds_for_its_network_nonce_request_and_key_only() {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        let (here, there) = (NetworkId(Uuid::from_u128(1)), NetworkId(Uuid::from_u128(2)));
        let proof = Proven::sign(&"request", here, "nonce".into(), pkcs8.as_ref()).unwrap();
        let key = pair.public_key().as_ref();
        assert_eq!(proof.check(here, key), Ok(()));
        assert_eq!(proof.read::<String>(), Ok("request".into()));
        assert!(proof.check(there, key).is_err());
        assert!(Proven { nonce: "other".into(), ..proof.clone() }.check(here, key).is_err());
        assert!(Proven { request: "\"other\"".into(), ..proof.clone() }.check(here, key).is_err());
        assert!(Proven { signature: "AAAA".into(), ..proof.clone() }.check(here, key).is_err());
        let other =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .unwrap();
        let other =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, other.as_ref()).unwrap();
        assert!(proof.check(here, other.public_key().as_ref()).is_err());
    }
}

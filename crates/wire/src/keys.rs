//! The keys with which central signs records and tokens, and the set of them that it publishes.

use std::collections::HashMap;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, fail};

/// What a key of the set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Signs the tokens of the REST interface.
    Token,
    /// Signs records, grants and tickets.
    Record,
}

/// A public key as RFC 8037 writes it, with what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// The key, base64url.
    pub x: String,
    /// Id: names the key in tokens and envelopes.
    pub kid: String,
    /// What it is for.
    #[serde(rename = "peral_use")]
    pub usage: KeyUse,
    /// No longer signs, still verifies.
    #[serde(default)]
    pub retired: bool,
}

/// `jwks.json`: current and retired keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwks {
    /// All keys.
    pub keys: Vec<Jwk>,
}

/// A private key that signs.
pub struct SigningKey {
    id: String,
    usage: KeyUse,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Reads a private key in PKCS#8 (DER). Its id is the beginning of the BLAKE3 hash of the
    /// public half.
    ///
    /// # Errors
    /// INTERNAL, when the bytes are not an Ed25519 key.
    pub fn from_pkcs8(der: &[u8], usage: KeyUse) -> Result<Self, Failure> {
        let pair = Ed25519KeyPair::from_pkcs8(der)
            .map_err(|error| fail!(Internal, "a signing key cannot be read: {error}"))?;
        let hash = peral_model::ContentId::of(pair.public_key().as_ref()).to_string();
        Ok(Self { id: hash.chars().take(16).collect(), usage, pair })
    }

    /// Names the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs bytes: 64 bytes of Ed25519.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    /// The public half, as it is published.
    pub fn public(&self) -> Jwk {
        Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref()),
            kid: self.id.clone(),
            usage: self.usage,
            retired: false,
        }
    }
}

/// The public keys of one use, ready to verify.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    keys: HashMap<String, Vec<u8>>,
}

impl Verifier {
    /// Takes the keys of one use from a set; keys that cannot be read are left out.
    pub fn new(set: &Jwks, usage: KeyUse) -> Self {
        let keys = set.keys.iter().filter(|key| key.usage == usage && key.crv == "Ed25519");
        Self {
            keys: keys
                .filter_map(|key| Some((key.kid.clone(), URL_SAFE_NO_PAD.decode(&key.x).ok()?)))
                .collect(),
        }
    }

    /// Is this the signature of that key over these bytes?
    pub fn verify(&self, key_id: &str, bytes: &[u8], signature: &[u8]) -> bool {
        self.keys.get(key_id).is_some_and(|key| {
            UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok()
        })
    }
}

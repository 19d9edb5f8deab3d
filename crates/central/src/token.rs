//! Bearer tokens of the REST interface: short JWTs, signed with EdDSA.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use peral_model::{AccountId, Identity, NetworkId, PeerId, SessionId};
use peral_wire::{
    Failure, fail,
    keys::{Jwk, KeyUse, SigningKey},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How long a token is valid, in milliseconds.
const LIFE_MS: i64 = 15 * 60 * 1000;
const AUDIENCE: &str = "peral:central";
/// Maximum number of tokens whose signature is not checked again: checking takes a quarter of the
/// time of a small request.
const REMEMBERED: u64 = 20_000;

/// Who shows a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Subject {
    /// A user's session.
    User {
        /// The session.
        sid: SessionId,
    },
    /// A peer at one epoch.
    Peer {
        /// The peer.
        pid: PeerId,
        /// Its epoch when the token was issued.
        epoch: u64,
    },
}

impl Subject {
    /// The identity in its certificate.
    pub fn identity(self) -> Identity {
        match self {
            Self::User { sid } => Identity::User(sid),
            Self::Peer { pid, .. } => Identity::Peer(pid),
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The account.
    pub sub: AccountId,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
    /// When the proof behind it expires, in seconds since 1970: no token that is issued for this
    /// one is valid longer.
    #[serde(default)]
    pub proof: i64,
    #[serde(flatten)]
    pub subject: Subject,
}

/// A new token.
pub struct IssuedToken {
    pub token: String,
    /// When it expires, in milliseconds since 1970.
    pub ends_ms: i64,
}

/// Issues and checks tokens.
pub struct Tokens {
    network: NetworkId,
    header: Header,
    signer: EncodingKey,
    verifiers: HashMap<String, DecodingKey>,
    rules: Validation,
    /// Claims of valid tokens by hash: the tokens themselves are not stored.
    read: Cache<[u8; 32], Claims>,
}

impl Tokens {
    /// Signs with the private key (PKCS#8, DER); accepts tokens of all token keys in `public`.
    ///
    /// # Errors
    /// INTERNAL, when a key cannot be read.
    pub fn new(
        network: NetworkId,
        private: &Zeroizing<Vec<u8>>,
        public: &[Jwk],
    ) -> Result<Self, Failure> {
        let key = SigningKey::from_pkcs8(private, KeyUse::Token)?;
        let readable = |jwk: &Jwk| {
            let key = DecodingKey::from_ed_components(&jwk.x).map_err(|error| {
                fail!(Internal, "cannot read the token key {}: {error}", jwk.kid)
            })?;
            Ok((jwk.kid.clone(), key))
        };
        let own = key.public();
        let public = public.iter().filter(|jwk| jwk.usage == KeyUse::Token).chain([&own]);
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[network]);
        rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The injected clock decides when a token expires, see `read`.
        rules.validate_exp = false;
        let header = Header { kid: Some(key.id().to_owned()), ..Header::new(Algorithm::EdDSA) };
        Ok(Self {
            network,
            header,
            signer: EncodingKey::from_ed_der(private),
            verifiers: public.map(readable).collect::<Result<_, Failure>>()?,
            rules,
            read: Cache::new(REMEMBERED),
        })
    }

    /// A new token. It expires with the proof behind it, if that is sooner.
    pub fn issue(
        &self,
        account: AccountId,
        subject: Subject,
        proof_ends_ms: i64,
        now_ms: i64,
    ) -> Result<IssuedToken, Failure> {
        let (exp, iat) = ((now_ms + LIFE_MS).min(proof_ends_ms) / 1000, now_ms / 1000);
        let (iss, aud) = (self.network.to_string(), AUDIENCE.into());
        let claims =
            Claims { iss, aud, sub: account, iat, exp, proof: proof_ends_ms / 1000, subject };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.signer)
            .map_err(|error| fail!(Internal, "cannot sign a token: {error}"))?;
        Ok(IssuedToken { token, ends_ms: exp * 1000 })
    }

    /// The claims of a token, if it belongs to this network and has not expired.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub fn read(&self, token: &str, now_ms: i64) -> Result<Claims, Failure> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let claims = self
            .read
            .try_get_with(hash, || self.check(token))
            .map_err(|failure| Failure::clone(&failure))?;
        if claims.exp * 1000 <= now_ms {
            self.read.invalidate(&hash);
            return Err(fail!(Unauthenticated, "the token has expired; renew it or log in again"));
        }
        Ok(claims)
    }

    fn check(&self, token: &str) -> Result<Claims, Failure> {
        let refused = || fail!(Unauthenticated, "the token does not belong to this network");
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        let key = header.kid.and_then(|kid| self.verifiers.get(&kid)).ok_or_else(refused)?;
        Ok(jsonwebtoken::decode::<Claims>(token, key, &self.rules).map_err(|_| refused())?.claims)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
    use peral_model::{AccountId, NetworkId};
    use uuid::Uuid;

    use super::*;

    fn tokens(network: u128) -> (Tokens, Zeroizing<Vec<u8>>) {
        let key = Zeroizing::new(
            Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap().as_ref().to_vec(),
        );
        (Tokens::new(NetworkId(Uuid::from_u128(network)), &key, &[]).unwrap(), key)
    }

    const NOW: i64 = 1_800_000_000_000;
    const USER: Subject = Subject::User { sid: SessionId(Uuid::from_u128(5)) };

    #[test]
    fn a_token_reads_back_until_it_ends() {
        let (tokens, _) = tokens(1);
        for subject in [USER, Subject::Peer { pid: PeerId(Uuid::from_u128(6)), epoch: 7 }] {
            let account = AccountId(Uuid::from_u128(2));
            let IssuedToken { token, ends_ms: ends } =
                tokens.issue(account, subject, i64::MAX, NOW).unwrap();
            let claims = tokens.read(&token, NOW).unwrap();
            assert_eq!(
                (claims.sub, claims.subject, ends),
                (AccountId(Uuid::from_u128(2)), subject, NOW + LIFE_MS)
            );
            assert!(tokens.read(&token, ends - 1).is_ok() && tokens.read(&token, ends).is_err());
            let short = tokens.issue(account, subject, NOW + 5_000, NOW).unwrap();
            assert_eq!(
                (short.ends_ms, tokens.read(&short.token, NOW).unwrap().proof * 1000),
                (NOW + 5_000, NOW + 5_000)
            );
        }
    }

    #[test]
    fn other_keys_networks_and_texts_are_refused() {
        let (ours, key) = tokens(1);
        let token = ours.issue(AccountId(Uuid::from_u128(2)), USER, i64::MAX, NOW).unwrap().token;
        assert!(tokens(1).0.read(&token, NOW).is_err(), "another key");
        let other = Tokens::new(NetworkId(Uuid::from_u128(9)), &key, &[]).unwrap();
        assert!(other.read(&token, NOW).is_err(), "another network");
        let mut parts = token.split('.');
        let body = parts.nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
        for text in
            ["", "a.b.c", &token[..token.len() - 4], unsigned.as_str(), &token.replace('.', "")]
        {
            assert!(ours.read(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn a_retired_key_still_verifies() {
        let (old, key) = tokens(1);
        let token = old.issue(AccountId(Uuid::from_u128(2)), USER, i64::MAX, NOW).unwrap().token;
        let retired =
            Jwk { retired: true, ..SigningKey::from_pkcs8(&key, KeyUse::Token).unwrap().public() };
        let (_, next) = tokens(1);
        let new = Tokens::new(NetworkId(Uuid::from_u128(1)), &next, &[retired]).unwrap();
        assert!(new.read(&token, NOW).is_ok());
    }
}

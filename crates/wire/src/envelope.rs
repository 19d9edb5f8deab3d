//! Signed envelopes: how records, grants and tickets travel. Checked as received, kept as received,
//! never encoded again.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use peral_model::{Grant, Record, Ticket};
use prost::Message;

use crate::{
    Failure, fail,
    keys::{SigningKey, Verifier},
    pb,
};

/// Maximum bytes of an encoded envelope.
pub const MAX_BYTES: usize = 8 * 1024;

/// Something central signs.
pub trait Sealable: Sized {
    /// What it is called in the envelope.
    const KIND: pb::Kind;
    /// Its bytes.
    fn encode(&self) -> Vec<u8>;
    /// It, from its bytes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when they are not what they should be.
    fn decode(bytes: &[u8]) -> Result<Self, Failure>;
}

macro_rules! sealable {
    ($($model:ident $kind:ident),*) => {$(
        impl Sealable for $model {
            const KIND: pb::Kind = pb::Kind::$kind;
            fn encode(&self) -> Vec<u8> {
                pb::$model::from(self).encode_to_vec()
            }
            fn decode(bytes: &[u8]) -> Result<Self, Failure> {
                let malformed = |error| {
                    fail!(InvalidArgument, "malformed {}: {error}", stringify!($model))
                };
                pb::$model::decode(bytes).map_err(malformed)?.try_into()
            }
        }
    )*};
}
sealable!(Record Record, Grant Grant, Ticket Ticket);

/// A value together with the signed bytes that say it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed<T> {
    /// What it says.
    pub value: T,
    /// As it was received, to be passed on.
    pub envelope: pb::Envelope,
}

fn signed_bytes(kind: pb::Kind, body: &[u8]) -> Vec<u8> {
    let kind = u8::try_from(kind as i32).unwrap_or(0);
    [b"peral".as_slice(), &[kind], body].concat()
}

impl<T: Sealable> Sealed<T> {
    /// Signs a value.
    pub fn seal(value: T, key: &SigningKey) -> Self {
        let body = value.encode();
        let signature = key.sign(&signed_bytes(T::KIND, &body)).into();
        let envelope = pb::Envelope {
            kind: T::KIND.into(),
            key_id: key.id().into(),
            body: body.into(),
            signature,
        };
        Self { value, envelope }
    }

    /// Checks an envelope and reads what it says.
    ///
    /// # Errors
    /// UNAUTHENTICATED when its kind, key or signature is not right; INVALID_ARGUMENT when its body
    /// cannot be read.
    pub fn open(envelope: pb::Envelope, keys: &Verifier) -> Result<Self, Failure> {
        let right = envelope.kind == T::KIND as i32
            && keys.verify(
                &envelope.key_id,
                &signed_bytes(T::KIND, &envelope.body),
                &envelope.signature,
            );
        if !right {
            return Err(fail!(Unauthenticated, "not signed by this network's central"));
        }
        Ok(Self { value: T::decode(&envelope.body)?, envelope })
    }

    /// Reads an envelope from the base64 text that REST carries, and checks it.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn from_text(text: &str, keys: &Verifier) -> Result<Self, Failure> {
        Self::open(envelope_from_text(text)?, keys)
    }

    /// The base64 text that REST carries.
    pub fn to_text(&self) -> String {
        STANDARD.encode(self.envelope.encode_to_vec())
    }

    /// The encoded envelope, as databases keep it.
    pub fn to_bytes(&self) -> Bytes {
        self.envelope.encode_to_vec().into()
    }
}

/// Reads an envelope from the base64 text that REST carries, without checking its signature.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn envelope_from_text(text: &str) -> Result<pb::Envelope, Failure> {
    if text.len() > MAX_BYTES * 4 / 3 + 4 {
        return Err(fail!(InvalidArgument, "an envelope of more than {MAX_BYTES} bytes"));
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| fail!(InvalidArgument, "malformed envelope: {error}"))?;
    envelope_from_bytes(&bytes)
}

/// Reads an envelope from its bytes, without checking its signature.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn envelope_from_bytes(bytes: &[u8]) -> Result<pb::Envelope, Failure> {
    pb::Envelope::decode(bytes)
        .map_err(|error| fail!(InvalidArgument, "malformed envelope: {error}"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
    use peral_model::{AccountId, Content, ContentId, FileId, FileName, Visibility};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::keys::{Jwks, KeyUse};

    fn key(usage: KeyUse) -> SigningKey {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        SigningKey::from_pkcs8(der.as_ref(), usage).unwrap()
    }

    fn verifier(key: &SigningKey) -> Verifier {
        Verifier::new(&Jwks { keys: vec![key.public()] }, KeyUse::Record)
    }

    fn record() -> Record {
        Record {
            file: FileId(Uuid::from_u128(1)),
            name: FileName::new("models/ünï.bin").unwrap(),
            version: 3,
            content: Content { hash: ContentId::of(b"x"), size: 1 },
            owner: AccountId(Uuid::from_u128(2)),
            visibility: Visibility::Private,
            serial: 9,
            published_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_sealed() {
        let key = key(KeyUse::Record);
        let sealed = Sealed::seal(record(), &key);
        assert_eq!(Sealed::from_text(&sealed.to_text(), &verifier(&key)), Ok(sealed));
    }

    #[test]
    fn a_token_key_signs_no_records_and_a_record_is_no_grant() {
        let key = key(KeyUse::Token);
        let sealed = Sealed::seal(record(), &key);
        let code =
            Sealed::<Record>::open(sealed.envelope.clone(), &verifier(&key)).unwrap_err().code;
        assert_eq!(code, crate::ErrorCode::Unauthenticated);
        let mut relabelled = sealed.envelope;
        relabelled.kind = pb::Kind::Grant.into();
        assert!(Sealed::<Grant>::open(relabelled, &verifier(&key)).is_err());
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..200, bit in 0u8..8) {
            let key = key(KeyUse::Record);
            let mut envelope = Sealed::seal(record(), &key).envelope;
            let mut body = envelope.body.to_vec();
            let at = at % body.len();
            body[at] ^= 1 << bit;
            envelope.body = body.into();
            prop_assert!(Sealed::<Record>::open(envelope, &verifier(&key)).is_err());
        }

        #[test]
        fn random_bytes_are_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = <Record as Sealable>::decode(&bytes).map_err(|failure| failure.code);
            let _ = <Grant as Sealable>::decode(&bytes).map_err(|failure| failure.code);
            let _ = <Ticket as Sealable>::decode(&bytes).map_err(|failure| failure.code);
            let _ = envelope_from_bytes(&bytes);
        }
    }
}

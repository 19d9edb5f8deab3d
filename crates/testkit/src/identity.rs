//! Keys, certificates and signatures, as a central would give them.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, Grant, Identity, NetworkId, PeerId, Record,
    SessionId, Ticket, UploadId, Verb, Visibility,
};
use peral_runtime::{
    Clock, SystemClock,
    tls::{Authority, CertStore, Purpose, TrustRoots, new_key, signing_request},
};
use peral_wire::{
    Sealed,
    keys::{Jwks, KeyUse, SigningKey, Verifier},
};
use uuid::Uuid;

/// One hour.
pub const HOUR: Duration = Duration::from_secs(3600);
/// How long the grants and tickets of a test count.
const TEN_MINUTES_MS: i64 = 600_000;

/// The time of this machine.
pub fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}

/// The identity of some peer.
pub fn a_peer() -> Identity {
    Identity::Peer(PeerId(Uuid::new_v4()))
}

/// The identity of some user.
pub fn a_user() -> Identity {
    Identity::User(SessionId(Uuid::new_v4()))
}

/// What these bytes are as a content.
pub fn content_of(bytes: &[u8]) -> Content {
    Content { hash: ContentId::of(bytes), size: bytes.len() as u64 }
}

/// A new key that signs records.
///
/// # Panics
/// None can be made.
pub fn record_key() -> SigningKey {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    SigningKey::from_pkcs8(der.as_ref(), KeyUse::Record).unwrap()
}

/// Believes what this key signed.
pub fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(&Jwks { keys: vec![key.public()] }, KeyUse::Record)
}

/// Those who trust this authority.
///
/// # Panics
/// Its certificate cannot be read.
pub fn roots(authority: &Authority) -> TrustRoots {
    TrustRoots::authority(authority.certificate().clone()).unwrap()
}

/// Puts a new certificate for this identity into a store; it began to count a minute ago.
///
/// # Panics
/// The authority refuses.
pub fn renew(
    store: &CertStore,
    authority: &Authority,
    account: AccountId,
    identity: Identity,
    lifetime: Duration,
) {
    let purpose = match identity {
        Identity::Central => Purpose::Server {
            dns_names: vec!["central.example".into()],
            ips: vec![Ipv4Addr::LOCALHOST.into()],
        },
        Identity::Peer(_) => Purpose::Peer,
        Identity::User(_) => Purpose::Client,
    };
    let account = (identity != Identity::Central).then_some(account);
    let key = new_key();
    let csr = signing_request(&key).unwrap();
    let leaf =
        authority.issue(&csr, &identity, account, purpose, now_ms() - 60_000, lifetime).unwrap();
    store.set(authority.chain(leaf), &key).unwrap();
}

/// A network without central: what one would sign with.
pub struct Issuer {
    /// Signs certificates.
    pub authority: Authority,
    /// Signs records, grants and tickets.
    pub key: SigningKey,
    /// The network.
    pub network: NetworkId,
    /// The account of everybody in it.
    pub account: AccountId,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// A new network.
    ///
    /// # Panics
    /// No authority can be made.
    pub fn new() -> Self {
        let network = NetworkId(Uuid::new_v4());
        Self {
            authority: Authority::generate(network, now_ms() - 60_000).unwrap(),
            key: record_key(),
            network,
            account: AccountId(Uuid::new_v4()),
        }
    }

    /// Believes what its key signed.
    pub fn verifier(&self) -> Verifier {
        verifier(&self.key)
    }

    /// Those who trust it.
    pub fn roots(&self) -> TrustRoots {
        roots(&self.authority)
    }

    /// A certificate for this identity.
    pub fn certs(&self, identity: Identity) -> Arc<CertStore> {
        let certs = CertStore::shared();
        renew(&certs, &self.authority, self.account, identity, HOUR);
        certs
    }

    /// The record of a new file.
    ///
    /// # Panics
    /// That is not a name.
    pub fn record(&self, name: &str, content: Content, visibility: Visibility) -> Sealed<Record> {
        let record = Record {
            file: FileId(Uuid::new_v4()),
            name: FileName::new(name).unwrap(),
            version: 1,
            content,
            owner: self.account,
            visibility,
            serial: 1,
            published_ms: now_ms(),
        };
        Sealed::seal(record, &self.key)
    }

    /// The right to get a file.
    pub fn grant(&self, record: &Record, bearer: Identity) -> Sealed<Grant> {
        let now = now_ms();
        let grant = Grant {
            record: record.clone(),
            verbs: vec![Verb::Get],
            account: self.account,
            bearer,
            expires_ms: now + TEN_MINUTES_MS,
            asked_ms: now,
        };
        Sealed::seal(grant, &self.key)
    }

    /// The right to upload a public file to a peer.
    ///
    /// # Panics
    /// That is not a name.
    pub fn ticket(
        &self,
        peer: PeerId,
        bearer: Identity,
        name: &str,
        max_size: u64,
    ) -> Sealed<Ticket> {
        let ticket = Ticket {
            upload: UploadId(Uuid::new_v4()),
            peer,
            name: FileName::new(name).unwrap(),
            max_size,
            visibility: Visibility::Public,
            account: self.account,
            bearer,
            expires_ms: now_ms() + TEN_MINUTES_MS,
        };
        Sealed::seal(ticket, &self.key)
    }
}

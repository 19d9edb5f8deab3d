//! The identity of this peer: its key, created before the first call, and the certificate that
//! central issued for it. Both are kept on disk.

use std::{io::ErrorKind, path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Identity, NetworkId, PeerId};
use peral_runtime::tls::{CertStore, KeyPkcs8Der, new_key, signing_request};
use peral_transfer::disk::write_private;
use peral_wire::{Catalogue, Failure, fail, proof::Proven, rest::sessions::Credentials};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::{
    data::{DataDir, KEY},
    link::RegisteredPeer,
};

/// What central issued to this peer, as it is stored on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredIdentity {
    peer: PeerId,
    epoch: u64,
    account: AccountId,
    network: NetworkId,
    certificate: String,
    certificate_from_ms: i64,
    certificate_ends_ms: i64,
}

/// The file of [`StoredIdentity`].
const STORED: &str = "standing.json";

/// The key of this peer, and the certificate that it shows. Cheap to clone.
#[derive(Clone)]
pub struct PeerKey {
    key: Arc<KeyPkcs8Der>,
    certs: Arc<CertStore>,
    path: PathBuf,
}

impl PeerKey {
    /// Reads the key from the data folder, or creates one and writes it there, durably.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn open(data: &DataDir) -> Result<Self, Failure> {
        let path = data.file(KEY);
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "cannot use the key of this peer, {}: {error}", path.display())
        };
        let key = match std::fs::read_to_string(&path) {
            Ok(pem) => KeyPkcs8Der::from_pem(&pem).map_err(|error| failed(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = new_key();
                let pem = key.to_pem().map_err(|error| failed(&error))?;
                write_private(&path, pem.as_bytes()).map_err(|error| failed(&error))?;
                key
            }
            Err(error) => return Err(failed(&error)),
        };
        Ok(Self { key: Arc::new(key), certs: CertStore::shared(), path: data.file(STORED) })
    }

    /// The certificate that both ends of connections show.
    pub fn certs(&self) -> Arc<CertStore> {
        Arc::clone(&self.certs)
    }

    /// A signing request for the key: PKCS#10, DER, base64.
    ///
    /// # Errors
    /// INTERNAL.
    pub fn csr(&self) -> Result<String, Failure> {
        let csr = signing_request(&self.key)
            .map_err(|error| fail!(Internal, "cannot use the key of this peer: {error}"))?;
        Ok(STANDARD.encode(csr))
    }

    /// Signs a request with the key and a fresh nonce, as proof for central.
    ///
    /// # Errors
    /// What central says; UNAUTHENTICATED when central serves another network.
    pub async fn prove<T: Serialize + Sync>(
        &self,
        catalogue: &Catalogue,
        network: NetworkId,
        request: &T,
    ) -> Result<Proven, Failure> {
        let nonce = catalogue.nonce().await?;
        if nonce.network != network {
            return Err(fail!(
                Unauthenticated,
                "central at {} now serves another network; this data folder belongs to {network}",
                catalogue.base()
            ));
        }
        Proven::sign(request, network, nonce.nonce, &self.key.0)
    }

    /// Shows the certificate that is stored from before, if there is one.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn resume(&self) -> Result<Option<Resumed>, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "cannot use {}: {error}", self.path.display())
        };
        let stored: StoredIdentity = match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        self.show(&stored.certificate)?;
        let registration = RegisteredPeer {
            peer: stored.peer,
            epoch: stored.epoch,
            account: stored.account,
            network: stored.network,
        };
        let lifetime =
            Lifetime { from_ms: stored.certificate_from_ms, ends_ms: stored.certificate_ends_ms };
        Ok(Some(Resumed { registration, lifetime }))
    }

    /// Shows a new certificate from now on, and stores it.
    ///
    /// # Errors
    /// INTERNAL, when the certificate is not for this key and this peer, or the disk fails.
    pub fn take(
        &self,
        registration: RegisteredPeer,
        credentials: &Credentials,
        now_ms: i64,
    ) -> Result<Lifetime, Failure> {
        self.show(&credentials.certificate)?;
        let shown = self
            .certs
            .leaf()
            .and_then(|leaf| peral_runtime::tls::peer_of(&leaf).ok())
            .map(|shown| shown.identity);
        if shown != Some(Identity::Peer(registration.peer)) {
            return Err(fail!(
                Internal,
                "central issued a certificate for an identity other than peer {}",
                registration.peer
            ));
        }
        let lifetime = Lifetime { from_ms: now_ms, ends_ms: credentials.certificate_ends_ms };
        let stored = StoredIdentity {
            peer: registration.peer,
            epoch: registration.epoch,
            account: registration.account,
            network: registration.network,
            certificate: credentials.certificate.clone(),
            certificate_from_ms: lifetime.from_ms,
            certificate_ends_ms: lifetime.ends_ms,
        };
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "cannot write {}: {error}", self.path.display())
        };
        let bytes = serde_json::to_vec_pretty(&stored).map_err(|error| failed(&error))?;
        write_private(&self.path, &bytes).map_err(|error| failed(&error))?;
        Ok(lifetime)
    }

    fn show(&self, pem: &str) -> Result<(), Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            fail!(Internal, "cannot use the certificate of this peer: {error}")
        };
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(&error))?;
        self.certs.set(chain, &self.key).map_err(|error| wrong(&error))
    }
}

/// The identity from before a restart.
#[derive(Debug, Clone, Copy)]
pub struct Resumed {
    pub registration: RegisteredPeer,
    /// Of the certificate.
    pub lifetime: Lifetime,
}

/// When a certificate was issued and when it expires, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub from_ms: i64,
    pub ends_ms: i64,
}

impl Lifetime {
    /// Whether half of it is over: time to renew the certificate.
    pub fn is_half_over(self, now_ms: i64) -> bool {
        now_ms >= self.from_ms + (self.ends_ms - self.from_ms) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_private() {
        use std::os::unix::fs::MetadataExt;
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::open(&temp.path().join("data")).unwrap();
        let first = PeerKey::open(&data).unwrap();
        let again = PeerKey::open(&data).unwrap();
        assert_eq!(first.key.public_key().unwrap(), again.key.public_key().unwrap());
        assert_eq!(std::fs::metadata(data.file("key.pem")).unwrap().mode() & 0o777, 0o600);
        assert!(first.resume().unwrap().is_none());
    }

    #[test]
    fn a_certificate_is_renewed_at_half_of_its_life() {
        let lifetime = Lifetime { from_ms: 1000, ends_ms: 3000 };
        assert!(
            !lifetime.is_half_over(1999)
                && lifetime.is_half_over(2000)
                && lifetime.is_half_over(9000)
        );
    }
}

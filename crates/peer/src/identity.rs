//! Who this peer is: its key, made before the first call, and what central gave for it. Both on
//! disk.

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
    link::Standing,
};

/// What central gave this peer, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    peer: PeerId,
    epoch: u64,
    account: AccountId,
    network: NetworkId,
    certificate: String,
    certificate_from_ms: i64,
    certificate_ends_ms: i64,
}

/// The key of this peer, and the certificate that it shows. Cheap to clone.
#[derive(Clone)]
pub struct PeerKey {
    key: Arc<KeyPkcs8Der>,
    certs: Arc<CertStore>,
    kept: PathBuf,
}

impl PeerKey {
    /// Reads the key from the data folder, or makes one and writes it there, durably.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn open(data: &DataDir) -> Result<Self, Failure> {
        let path = data.file(KEY);
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "the key of this peer, {}, cannot be used: {error}", path.display())
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
        Ok(Self {
            key: Arc::new(key),
            certs: CertStore::shared(),
            kept: data.file("standing.json"),
        })
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
            .map_err(|error| fail!(Internal, "the key of this peer cannot be used: {error}"))?;
        Ok(STANDARD.encode(csr))
    }

    /// Proves the key to central with a request, by a nonce that is fetched for it.
    ///
    /// # Errors
    /// What central says; UNAUTHENTICATED when it is another network's.
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
                "central at {} is now that of another network; this data folder belongs to \
                 {network}",
                catalogue.base()
            ));
        }
        Proven::sign(request, network, nonce.nonce, &self.key.0)
    }

    /// Shows the certificate that is kept from before, if there is one. Gives the standing that
    /// came with it.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn resume(&self) -> Result<Option<(Standing, Lifetime)>, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "{} cannot be used: {error}", self.kept.display())
        };
        let kept: Kept = match std::fs::read(&self.kept) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        self.show(&kept.certificate)?;
        let standing = Standing {
            peer: kept.peer,
            epoch: kept.epoch,
            account: kept.account,
            network: kept.network,
        };
        Ok(Some((
            standing,
            Lifetime { from_ms: kept.certificate_from_ms, ends_ms: kept.certificate_ends_ms },
        )))
    }

    /// Shows a new certificate from now on, and keeps it with the standing.
    ///
    /// # Errors
    /// INTERNAL, when central gave one that is not for this key or this peer, or the disk fails.
    pub fn take(
        &self,
        standing: Standing,
        credentials: &Credentials,
        now_ms: i64,
    ) -> Result<Lifetime, Failure> {
        self.show(&credentials.certificate)?;
        let shown = self
            .certs
            .leaf()
            .and_then(|leaf| peral_runtime::tls::peer_of(&leaf).ok())
            .map(|shown| shown.identity);
        if shown != Some(Identity::Peer(standing.peer)) {
            return Err(fail!(
                Internal,
                "central gave a certificate for another than peer {}",
                standing.peer
            ));
        }
        let lifetime = Lifetime { from_ms: now_ms, ends_ms: credentials.certificate_ends_ms };
        let kept = Kept {
            peer: standing.peer,
            epoch: standing.epoch,
            account: standing.account,
            network: standing.network,
            certificate: credentials.certificate.clone(),
            certificate_from_ms: lifetime.from_ms,
            certificate_ends_ms: lifetime.ends_ms,
        };
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "{} cannot be written: {error}", self.kept.display())
        };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|error| failed(&error))?;
        write_private(&self.kept, &bytes).map_err(|error| failed(&error))?;
        Ok(lifetime)
    }

    fn show(&self, pem: &str) -> Result<(), Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            fail!(Internal, "the certificate of this peer cannot be used: {error}")
        };
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(&error))?;
        self.certs.set(chain, &self.key).map_err(|error| wrong(&error))
    }
}

/// When a certificate came and when it ends, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it came.
    pub from_ms: i64,
    /// When it ends.
    pub ends_ms: i64,
}

impl Lifetime {
    /// Half of its life is over: time for the next one.
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

//! The certificate that this process shows, replaced while it runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{KeyPkcs8Der, TlsError, provider};

/// Holds a certificate chain and its key, for both ends of connections. A new one is shown from the
/// next handshake on; running connections go on. While it is empty, handshakes that need a
/// certificate fail.
#[derive(Debug, Default)]
pub struct CertStore {
    current: ArcSwapOption<CertifiedKey>,
}

impl CertStore {
    /// An empty one, to share.
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// Shows this chain (leaf first) from now on.
    ///
    /// # Errors
    /// [`TlsError::Key`]: the key cannot be read, or is not that of the leaf. The old certificate
    /// stays then.
    pub fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: &KeyPkcs8Der,
    ) -> Result<(), TlsError> {
        self.put(chain, key.to_rustls())
    }

    /// Shows a chain and key read from PEM text, of any kind of key: a certificate of a public
    /// authority.
    ///
    /// # Errors
    /// [`TlsError::Certificate`] and [`TlsError::Key`]; the old certificate stays then.
    pub fn set_pem(&self, chain: &str, key: &str) -> Result<(), TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| TlsError::Certificate(error.to_string()))?;
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| TlsError::Key(error.to_string()))?;
        self.put(chain, key)
    }

    fn put(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: rustls_pki_types::PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let certified = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| TlsError::Key(error.to_string()))?;
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// The leaf that is shown now.
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.current.load().as_ref().and_then(|certified| certified.cert.first().cloned())
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl ResolvesClientCert for CertStore {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }

    fn has_certs(&self) -> bool {
        self.current.load().is_some()
    }
}

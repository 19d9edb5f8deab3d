//! Configurations of both ends.

use std::sync::Arc;

use peral_model::Identity;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, danger::ServerCertVerifier},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{CertStore, TlsError, provider, verify::identity_verifier};

/// The trusted authorities. Never empty.
#[derive(Debug, Clone)]
pub struct TrustRoots(Arc<RootCertStore>);

impl TrustRoots {
    /// Our own authority (DER).
    ///
    /// # Errors
    /// [`TlsError::Roots`]: it is not a certificate.
    pub fn authority(certificate: CertificateDer<'static>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| TlsError::Roots(error.to_string()))?;
        Ok(Self(Arc::new(roots)))
    }

    /// Our own authority, and others after it while it is being replaced (PEM, one or more
    /// certificates).
    ///
    /// # Errors
    /// [`TlsError::Roots`]: there is none, or one cannot be read.
    pub fn authority_pem(pem: &str) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| TlsError::Roots(error.to_string()))?;
            roots.add(certificate).map_err(|error| TlsError::Roots(error.to_string()))?;
        }
        Self::filled(roots, "the file does not contain a certificate")
    }

    /// The public authorities that this machine trusts (or `SSL_CERT_FILE`).
    ///
    /// # Errors
    /// [`TlsError::Roots`]: there is none.
    pub fn native() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "cannot read some certificate authorities of this machine");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self::filled(roots, "this machine has none; install the package with the CA certificates")
    }

    fn filled(roots: RootCertStore, otherwise: &str) -> Result<Self, TlsError> {
        if roots.is_empty() {
            Err(TlsError::Roots(otherwise.into()))
        } else {
            Ok(Self(Arc::new(roots)))
        }
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }
}

/// Which clients a server lets in.
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// Any; it asks for no certificate.
    None,
    /// Those with a certificate of these roots.
    Required(TrustRoots),
}

/// Whom a client wants at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The holder of this identity, by whatever address or name it was dialled.
    Identity(Identity),
    /// Whoever has a certificate for the host name dialled, by the rules of the web.
    PublicName,
}

/// The application protocols that a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 alone: gRPC.
    Http2,
    /// HTTP/2 or HTTP/1.1: REST and browsers.
    Http2AndHttp1,
}

impl Alpn {
    /// As TLS names them, the preferred one first. Also for [`ClientConfig::alpn_protocols`], which
    /// [`client_config`] leaves empty.
    pub fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http2AndHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// A server that shows what is in `certs`. TLS 1.3 only.
#[expect(clippy::expect_used, reason = "see the messages")]
pub fn server_config(certs: Arc<CertStore>, clients: ClientAuth, alpn: Alpn) -> Arc<ServerConfig> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13]);
    let builder = builder.expect("aws-lc-rs speaks TLS 1.3");
    let mut config = match clients {
        ClientAuth::None => builder.with_no_client_auth().with_cert_resolver(certs),
        ClientAuth::Required(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.store(), provider).build();
            let verifier =
                verifier.expect("the roots are not empty and there are no revocation lists");
            let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(certs);
            // A resumed session would bring back a client's old certificate, beyond its end.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
    };
    config.alpn_protocols = alpn.protocols();
    Arc::new(config)
}

/// A client that trusts `roots`, wants `expect` there, and shows what is in `certs` where it is
/// asked for a certificate. TLS 1.3 only. Application protocols are left empty: connectors differ
/// in who sets them.
#[expect(
    clippy::needless_pass_by_value,
    reason = "symmetrical with server_config, and callers build the roots in place"
)]
pub fn client_config(
    roots: TrustRoots,
    expect: Expect,
    certs: Option<Arc<CertStore>>,
) -> ClientConfig {
    match expect {
        Expect::Identity(identity) => {
            with_verifier(Arc::new(identity_verifier(roots.store(), identity)), certs)
        }
        Expect::PublicName => finish(tls13_client().with_root_certificates(roots.store()), certs),
    }
}

type WantsVerifier = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type WantsClientCert = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

#[expect(clippy::expect_used, reason = "see the message")]
fn tls13_client() -> WantsVerifier {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("aws-lc-rs speaks TLS 1.3")
}

pub(super) fn with_verifier(
    verifier: Arc<dyn ServerCertVerifier>,
    certs: Option<Arc<CertStore>>,
) -> ClientConfig {
    // "dangerous" is rustls' name for any verifier of one's own; ours checks the chain as rustls
    // does and the identity besides.
    let mut config =
        finish(tls13_client().dangerous().with_custom_certificate_verifier(verifier), certs);
    // Each connection proves anew who is there: resumption would skip the verifier.
    config.resumption = Resumption::disabled();
    config
}

fn finish(builder: WantsClientCert, certs: Option<Arc<CertStore>>) -> ClientConfig {
    match certs {
        Some(certs) => builder.with_client_cert_resolver(certs),
        None => builder.with_no_client_auth(),
    }
}

//! Trust in a network: its certificate authority and keys, how they are first learned, and clients
//! for its central.

use std::{path::Path, sync::Arc, time::Duration};

use peral_model::{Identity, NetworkId};
use peral_runtime::tls::{CertStore, Expect, Pin, TrustRoots, client_config, pinned_client_config};
use peral_wire::{
    Catalogue, Failure, fail,
    keys::{Jwks, KeyUse, Verifier},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::disk::write_private;

/// Adds the trace context to a request.
pub type Inject = fn(&mut http::HeaderMap);

/// Deadline of a call to central.
pub const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(4);

/// How central is verified at first contact.
#[derive(Debug, Clone)]
pub enum FirstContact {
    /// By the certificate of its authority, PEM.
    Authority(String),
    /// By the SHA-256 fingerprint of that certificate.
    Fingerprint(Pin),
    /// By a certificate that a public authority issued for its host name.
    PublicName,
}

/// What a member knows of its network; kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Central's authority, PEM.
    pub authority: String,
    /// The keys that verify tokens and envelopes.
    pub jwks: Jwks,
    /// Whether central shows a certificate of a public authority, for its host name.
    #[serde(default)]
    pub public_name: bool,
}

impl Network {
    /// Learns the network from central: its id, its authority and its keys.
    ///
    /// # Errors
    /// UNTRUSTED when the server that answers is not the expected one; UNAUTHENTICATED when what it
    /// is verified by is not usable; UNAVAILABLE when none answers.
    pub async fn contact(
        base: &str,
        first: &FirstContact,
        inject: Inject,
    ) -> Result<Self, Failure> {
        let config = match first {
            FirstContact::Authority(pem) => expecting_central(pem)?,
            FirstContact::Fingerprint(pin) => pinned_client_config(pin.clone()),
            FirstContact::PublicName => {
                client_config(TrustRoots::native().map_err(untrusted)?, Expect::PublicName, None)
            }
        };
        let catalogue = Catalogue::new(base, http_client(config)?, inject, DEADLINE);
        let ca = catalogue.ca().await?;
        let certificate =
            CertificateDer::from_pem_slice(ca.certificate.as_bytes()).map_err(untrusted)?;
        // What central says about itself counts only as far as the handshake proved it.
        let authority = match first {
            FirstContact::Authority(pem) => pem.clone(),
            FirstContact::Fingerprint(pin) if pin.matches(&certificate) => ca.certificate,
            FirstContact::Fingerprint(_) => {
                return Err(fail!(
                    Untrusted,
                    "central at {base} names another certificate authority than it shows"
                ));
            }
            FirstContact::PublicName => ca.certificate,
        };
        let jwks = catalogue.jwks().await?;
        Ok(Self {
            id: ca.network,
            authority,
            jwks,
            public_name: matches!(first, FirstContact::PublicName),
        })
    }

    /// Reads it from a file; `None` if the file does not exist.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn load(path: &Path) -> Result<Option<Self>, Failure> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| fail!(Internal, "cannot read {}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail!(Internal, "cannot read {}: {error}", path.display())),
        }
    }

    /// Writes it to a file, durably.
    ///
    /// # Errors
    /// INTERNAL, naming the file.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            fail!(Internal, "cannot write {}: {error}", path.display())
        };
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(&error))?;
        write_private(path, &bytes).map_err(|error| failed(&error))
    }

    /// Verifies records, grants and tickets.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.jwks, KeyUse::Record)
    }

    /// The authority of the certificates that members show each other.
    ///
    /// # Errors
    /// UNAUTHENTICATED, when the authority's certificate cannot be read.
    pub fn roots(&self) -> Result<TrustRoots, Failure> {
        TrustRoots::authority_pem(&self.authority).map_err(untrusted)
    }

    /// A client for central at `base` that trusts only central.
    ///
    /// # Errors
    /// UNAUTHENTICATED, when the authority's certificate cannot be read.
    pub fn catalogue(
        &self,
        base: &str,
        inject: Inject,
        deadline: Duration,
    ) -> Result<Catalogue, Failure> {
        let config = if self.public_name {
            client_config(TrustRoots::native().map_err(untrusted)?, Expect::PublicName, None)
        } else {
            expecting_central(&self.authority)?
        };
        Ok(Catalogue::new(base, http_client(config)?, inject, deadline))
    }
}

fn expecting_central(authority: &str) -> Result<rustls::ClientConfig, Failure> {
    let roots = TrustRoots::authority_pem(authority).map_err(untrusted)?;
    Ok(client_config(roots, Expect::Identity(Identity::Central), None::<Arc<CertStore>>))
}

fn untrusted(error: impl std::fmt::Display) -> Failure {
    fail!(Unauthenticated, "cannot verify central: {error}")
}

fn http_client(mut config: rustls::ClientConfig) -> Result<reqwest::Client, Failure> {
    config.alpn_protocols = peral_runtime::tls::Alpn::Http2AndHttp1.protocols();
    let builder =
        reqwest::Client::builder().tls_backend_preconfigured(config).connect_timeout(CONNECT);
    // Central never answers with a redirect. Proxies that pods have set often lead out of the cluster:
    // central is dialled directly.
    let builder = builder
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http2_keep_alive_interval(Duration::from_secs(20));
    builder.build().map_err(|error| fail!(Internal, "cannot create an HTTP client: {error}"))
}

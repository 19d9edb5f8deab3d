//! TLS 1.3, certificates of our own authority, and who is at the other end.
//!
//! A certificate names its holder by exactly one URI (an [`Identity`](peral_model::Identity)), not by
//! host name or address, except where the certificate of a public authority is checked by the
//! ordinary rules of the web. Every configuration here verifies.

mod authority;
mod certificate;
mod config;
mod error;
mod explain;
mod first_contact;
mod key;
mod provider;
mod store;
mod verify;

pub use authority::{Authority, Purpose};
pub use certificate::{PeerCertificate, fingerprint, peer_of};
pub use config::{Alpn, ClientAuth, Expect, TrustRoots, client_config, server_config};
pub use error::TlsError;
pub use explain::explain;
pub use first_contact::{Pin, certificate_pem, pinned_client_config, presented_authority};
pub use key::{KeyPkcs8Der, csr_public_key, new_key, signing_request};
pub use provider::install_provider;
pub(crate) use provider::provider;
pub use store::CertStore;
pub use verify::WrongIdentity;

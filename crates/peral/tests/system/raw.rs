//! Speaking to central and to peers without the command: what somebody with other programs could
//! try.

use std::{fs, future::Future, net::SocketAddr, path::Path, time::Duration};

use peral_model::PeerId;
use peral_runtime::tls::CertStore;
use peral_transfer::{
    dial::{Dialer, OutboundPolicy},
    trust::Network as Trusted,
};
use peral_wire::{
    Catalogue, Failure,
    pb::{
        self, control_service_client::ControlServiceClient, peer_service_client::PeerServiceClient,
    },
};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

use crate::network::{Node, User};

/// A user's login, as the file holds it.
pub struct Login {
    pub network: Trusted,
    pub central: String,
    pub certificate: String,
    pub key: String,
    pub token: String,
}

/// Runs something that waits.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    peral_runtime::tls::install_provider();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Where a user's login is kept.
pub fn login_file(user: &User) -> std::path::PathBuf {
    let mut files =
        fs::read_dir(user.home.join("config/logins")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|end| end == "json")).unwrap()
}

impl Login {
    pub fn of(user: &User) -> Self {
        let file: Value = serde_json::from_slice(&fs::read(login_file(user)).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            network: serde_json::from_value(file["network"].clone()).unwrap(),
            central: text(&file["central"]),
            certificate: text(&file["credentials"]["certificate"]),
            key: text(&file["key"]),
            token: text(&file["credentials"]["token"]),
        }
    }

    pub fn catalogue(&self) -> Catalogue {
        self.with_token(&self.token)
    }

    pub fn with_token(&self, token: &str) -> Catalogue {
        self.network
            .catalogue(&self.central, |_| {}, Duration::from_secs(20))
            .unwrap()
            .with_token(token)
    }

    /// A connection to a peer, with this login's certificate.
    pub async fn peer(
        &self,
        peer: PeerId,
        address: SocketAddr,
    ) -> Result<PeerServiceClient<Channel>, Failure> {
        let certs = CertStore::shared();
        certs.set_pem(&self.certificate, &self.key).unwrap();
        let dialer = Dialer::new(
            certs,
            self.network.roots().unwrap(),
            OutboundPolicy { allow_loopback: true },
        );
        Ok(PeerServiceClient::new(dialer.channel(peer, address).await?)
            .max_decoding_message_size(4 << 20))
    }
}

/// A peer's own token, as its socket gives it to those who run as the same user.
pub async fn session_of(node: &Node) -> pb::SessionResponse {
    let socket = format!("unix:{}", Path::new(&node.data).join("peral.sock").display());
    let channel = Endpoint::from_shared(socket).unwrap().connect().await.unwrap();
    ControlServiceClient::new(channel).session(pb::SessionRequest {}).await.unwrap().into_inner()
}

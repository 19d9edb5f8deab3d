//! Peers: registration, heartbeat, listing.

use peral_model::{AccountId, ContentId, FileId, Identity, NetworkId, PeerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::Credentials;

/// Inside a proof: `POST /v1/register`. A key that is known needs no join token and gets its peer
/// id back with the next epoch; a peer that is a pod needs its pod's token each time.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Signing request (PKCS#10, DER, base64); names in it are ignored.
    pub csr: String,
    /// What lets a new key join.
    #[serde(default)]
    pub join_token: Option<String>,
    /// Token of the pod that the peer is, for central's audience. Address (but for the port),
    /// label, node and zone then come from Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_token: Option<String>,
    /// IP and port by which others reach it.
    pub address: String,
    /// What to call it in listings, such as the host name; at most 100 characters.
    #[serde(default)]
    pub label: String,
    /// Its node, for choosing near sources; empty if unknown.
    #[serde(default)]
    pub node: String,
    /// Its zone; empty if unknown.
    #[serde(default)]
    pub zone: String,
    /// Version of its program.
    pub version: String,
}

/// A registration.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// The peer's id.
    #[schema(value_type = String, format = "uuid")]
    pub peer: PeerId,
    /// Its fencing number: every write carries it.
    pub epoch: u64,
    /// The account that it works for.
    #[schema(value_type = String, format = "uuid")]
    pub account: AccountId,
    /// Id of the network.
    #[schema(value_type = String, format = "uuid")]
    pub network: NetworkId,
    /// Certificate and token.
    pub credentials: Credentials,
    /// Number of the last delta that central has of it.
    pub last_delta: u64,
    /// Its node as central knows it, for telling near sources from far ones; empty if unknown.
    #[serde(default)]
    pub node: String,
    /// Its zone.
    #[serde(default)]
    pub zone: String,
}

/// What a peer can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// Serves and takes uploads.
    Ready,
    /// Serves; takes no uploads.
    Full,
    /// About to stop: no longer named as a source or for uploads.
    Leaving,
}

/// `POST /v1/heartbeat`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// What it can do.
    pub state: PeerState,
    /// Bytes that it can still take.
    pub room: u64,
    /// Number of the last delta that it wrote.
    pub last_delta: u64,
    /// Number of the last notice that it obeyed; 0 for none.
    pub obeyed: u64,
}

/// The answer to a heartbeat.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatAnswer {
    /// A fresh bearer token.
    pub token: String,
    /// When it ends.
    pub token_ends_ms: i64,
    /// Number of the last delta that central has.
    pub last_delta: u64,
    /// What it must obey at once, in order; at most 1,000, the rest at the next heartbeat.
    pub notices: Vec<Notice>,
    /// Number to name in the next heartbeat.
    pub obeyed: u64,
}

/// Something a peer must obey at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// Serve this identity no more.
    Revoked {
        /// Who.
        #[schema(value_type = String)]
        identity: Identity,
        /// When its last certificate ends; the notice can be forgotten then.
        until_ms: i64,
    },
    /// The records of a file that it holds changed.
    Changed {
        /// The file.
        #[schema(value_type = String, format = "uuid")]
        file: FileId,
        /// The serial that counts now.
        serial: u64,
        /// Envelopes of the kept versions, base64.
        records: Vec<String>,
    },
    /// A file that it holds, or held, was removed: cached copies go, files shared in place stay.
    Removed {
        /// The file.
        #[schema(value_type = String, format = "uuid")]
        file: FileId,
        /// Its serial at removal.
        serial: u64,
        /// The content of its last version.
        #[schema(value_type = String)]
        hash: ContentId,
    },
}

/// A peer as listings show it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: PeerId,
    /// What it calls itself.
    pub label: String,
    /// Name of the account that it works for.
    pub account: String,
    /// IP and port by which others reach it.
    pub address: String,
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// What it can do; `away` when its lease ended or it logged out.
    pub state: ListedState,
    /// Bytes that it can still take.
    pub room: u64,
    /// File versions that it holds.
    pub files: u64,
    /// Last heartbeat.
    pub seen_ms: i64,
    /// Version of its program.
    pub version: String,
}

/// State of a peer in listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListedState {
    /// Serves and takes uploads.
    Ready,
    /// Serves; takes no uploads.
    Full,
    /// About to stop.
    Leaving,
    /// Its lease ended, or it logged out.
    Away,
    /// Its key is revoked for good.
    Revoked,
}

/// `PATCH /v1/peers/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerChange {
    /// True: revoke its key for good.
    pub revoked: bool,
}

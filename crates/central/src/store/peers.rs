//! Peers: registration, leases, revocation.

use async_trait::async_trait;
use peral_model::{AccountId, PeerId};
use peral_wire::rest::{
    Page,
    peers::{Peer, PeerState},
};

use super::{Paging, Result};

#[derive(Clone)]
pub struct Registering {
    /// The peer's key (uncompressed P-256 point): its identity.
    pub public_key: Vec<u8>,
    /// Hash of the join token; needed, and one use of it taken, for a new key only. Not looked at
    /// for a pod.
    pub join_token: Option<Vec<u8>>,
    /// The pod that the peer is, as Kubernetes says.
    pub pod: Option<RegisteringPod>,
    /// IP and port by which others reach it.
    pub address: String,
    pub label: String,
    pub node: String,
    pub zone: String,
    pub version: String,
    /// When its first lease ends.
    pub lease_ends_ms: i64,
    pub certificate_ends_ms: i64,
    pub now_ms: i64,
}

/// A pod that registers.
#[derive(Debug, Clone)]
pub struct RegisteringPod {
    pub pod: Pod,
    /// Name of the account of peers that are pods; made, as a member without a password, where it
    /// is missing.
    pub account: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name, which outlives it where a StatefulSet makes it again.
    pub name: String,
    /// Its uid, which does not.
    pub uid: String,
}

/// A registration that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    pub peer: PeerId,
    /// Its epoch, one more than before.
    pub epoch: u64,
    pub account: AccountId,
    /// Number of the last delta that is here.
    pub last_delta: u64,
    /// The key was not known before.
    pub new: bool,
    /// The peer that its pod was before, with another key: its key is revoked now.
    pub ended: Option<PeerId>,
}

/// A peer as central knows it.
#[derive(Debug, Clone)]
pub struct KnownPeer {
    pub id: PeerId,
    pub account: AccountId,
    pub public_key: Vec<u8>,
    pub epoch: u64,
    /// The pod that it is, as registered last; none for a peer that joined by a join token.
    pub pod: Option<Pod>,
    /// Address, node and zone.
    pub place: PeerLocation,
    /// Number of the last delta that is here.
    pub last_delta: u64,
    /// It may write: its key is not revoked, its account not disabled, and it has not logged out.
    pub active: bool,
    /// Its key is revoked for good.
    pub revoked: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerLocation {
    /// IP and port by which others reach it.
    pub address: String,
    pub node: String,
    pub zone: String,
}

/// Who writes: a peer with the epoch that its token names. Every write checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Writer {
    pub peer: PeerId,
    pub epoch: u64,
}

/// One heartbeat of several that are written at once.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    pub writer: Writer,
    /// What it can do.
    pub state: PeerState,
    /// Bytes that it can still take.
    pub room: u64,
    pub seen_ms: i64,
    /// When its lease ends now.
    pub lease_ends_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beaten {
    /// For each, in order: number of the last delta that is here; none where the epoch is stale,
    /// the peer revoked or logged out.
    pub last_deltas: Vec<Option<u64>>,
    /// Number of the newest notice: a peer that obeyed it need not be asked about. 0 when no
    /// heartbeat was good.
    pub newest_notice: u64,
}

#[async_trait]
pub trait Peers: Send + Sync {
    /// Registers a peer: a known key gets its id again with the next epoch, a new one takes a use
    /// of its join token, or is that of a pod. A new key of a known pod, whose volume was lost, is
    /// a new peer, and ends the one that the pod was before as [`Peers::revoke_peer`] does.
    ///
    /// # Errors
    /// Refused: the key is revoked, the account disabled, or the join token missing, unknown, used
    /// up or ended. The key is another pod's, or a pod's and none is named, or that of a peer that
    /// is not a pod and one is named.
    async fn register(&self, peer: Registering) -> Result<Registered>;
    async fn peer(&self, id: PeerId) -> Result<Option<KnownPeer>>;
    /// Remembers when the peer's newest certificate ends.
    ///
    /// # Errors
    /// Refused: stale epoch.
    async fn renew_peer(&self, writer: Writer, certificate_ends_ms: i64) -> Result<()>;
    /// Writes heartbeats, in one statement.
    async fn beat(&self, beats: Vec<Beat>) -> Result<Beaten>;
    /// Peers in the order of their ids.
    async fn peers(&self, paging: Paging, now_ms: i64) -> Result<Page<Peer>>;
    /// Ends a peer's lease and its epoch: it writes no more until it registers again. With an epoch
    /// given, only if that is the current one.
    ///
    /// # Errors
    /// Refused: stale epoch.
    async fn log_out_peer(&self, id: PeerId, epoch: Option<u64>, now_ms: i64) -> Result<bool>;
    /// Revokes a peer's key for good, with a notice that lasts until its last certificate ends.
    async fn revoke_peer(&self, id: PeerId, now_ms: i64) -> Result<bool>;
}

//! Publishing: new versions, and uploads that lead to them.

use std::sync::Arc;

use async_trait::async_trait;
use peral_model::{Content, FileName, PeerId, Record, UploadId, Visibility};
use peral_wire::rest::{files::Access, holdings::VersionRef};

use super::{
    Refusal, Result, Viewer,
    peers::{PeerLocation, Writer},
};

/// How long an upload may take, in milliseconds.
pub const UPLOAD_MS: i64 = 24 * 3_600_000;
/// How long the results of a publish are kept under its idempotency key, in milliseconds.
pub const REPLAY_MS: i64 = 24 * 3_600_000;
/// Most uploads that one account has begun and not ended.
pub const MAX_UPLOADS: u32 = 1000;

/// Signs a record: gives the bytes of its envelope. Called inside the transaction that determined
/// version and serial; must not block.
pub type Seal = Arc<dyn Fn(&Record) -> Vec<u8> + Send + Sync>;

#[derive(Clone)]
pub struct Publishing {
    /// The peer that publishes; for its account, or for that of an upload.
    pub writer: Writer,
    /// The same key with the same versions gives the same results again.
    pub key: String,
    pub versions: Vec<NewVersion>,
    pub seal: Seal,
    pub now_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    pub name: FileName,
    pub content: Content,
    /// Who may read it; counts for a new name without an upload only.
    pub visibility: Visibility,
    /// The version that the publisher had of this name.
    pub replaces: Option<VersionRef>,
    /// The upload that it ends.
    pub upload: Option<UploadId>,
}

#[derive(Clone)]
pub struct NewUpload {
    pub viewer: Viewer,
    pub name: FileName,
    /// Most bytes.
    pub size: u64,
    /// Who may read it; counts for a new name only.
    pub visibility: Visibility,
    /// Access list of a new name.
    pub access: Vec<Access>,
    /// Tags of a new name.
    pub tags: Vec<String>,
    /// Number of the version that it replaces; 0 for a new name.
    pub replaces: u64,
    /// The peer that should take it; without it, the live one with the most room.
    pub peer: Option<PeerId>,
    /// The peer that is asked for has the bytes already: it needs no room for them.
    pub placed: bool,
    pub now_ms: i64,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunUpload {
    pub id: UploadId,
    pub peer: PeerId,
    pub place: PeerLocation,
    /// Who may read the file: the existing one's where the name is not new.
    pub visibility: Visibility,
}

#[async_trait]
pub trait Publishes: Send + Sync {
    /// Publishes versions, each with a result of its own: the envelope of its record, or why not.
    ///
    /// Without an upload, a version is refused as removed where the file that it replaces, or this
    /// content under this name, has a tombstone. The content that a visible name has already gives
    /// its record again. Only the owner, those it lets write and administrators replace a version,
    /// and only the current one.
    ///
    /// # Errors
    /// Refused as a whole: stale epoch, or the key was used for other versions.
    async fn publish(&self, publishing: Publishing) -> Result<Vec<Result<Vec<u8>, Refusal>>>;
    /// Begins an upload: checks name and version as a publish would, and chooses the peer.
    ///
    /// # Errors
    /// Refused: name taken, version conflict, unknown account or group on the access list, no peer,
    /// no room, too many uploads.
    async fn begin_upload(&self, upload: NewUpload) -> Result<BegunUpload>;
}

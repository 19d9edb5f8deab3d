//! Files: publishing, looking up, searching, sources, uploads.

use peral_model::{ContentId, FileId, FileName, Identity, PeerId, UploadId, Visibility};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::holdings::VersionRef;
use crate::failure::Problem;

/// Most versions of one publish.
pub const MAX_PUBLISH: usize = 1000;
/// Versions of a file that stay downloadable.
pub const KEPT_VERSIONS: u64 = 10;

/// `POST /v1/files`: publishes versions, each with a result of its own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The same key with the same files gives the same results again, for 24 hours. At most 64
    /// characters.
    pub idempotency_key: String,
    /// At most 1,000.
    pub files: Vec<NewVersion>,
}

/// One version to publish.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// The name.
    pub name: String,
    /// BLAKE3 of the content.
    #[schema(value_type = String)]
    pub hash: ContentId,
    /// Size of the content.
    pub size: u64,
    /// Who may read it; counts for a new name only.
    #[serde(default)]
    #[schema(value_type = String, example = "public")]
    pub visibility: Visibility,
    /// The version that this one replaces: what the publisher had of this name. None for a name
    /// that should be free.
    #[serde(default)]
    pub replaces: Option<VersionRef>,
    /// For an upload: the upload, by which a peer publishes for the account that asked.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub upload: Option<UploadId>,
}

/// The results of a publish, in the order of its files.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// One each.
    pub results: Vec<PublishResult>,
}

/// What became of one version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishResult {
    /// Published, or the current version already had this content: its record (envelope, base64).
    Record(String),
    /// Not published; nothing changed.
    Problem(Problem),
}

/// A file as the catalogue shows it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: FileId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: FileName,
    /// Name of the account that owns it.
    pub owner: String,
    /// Who may read it.
    #[schema(value_type = String, example = "public")]
    pub visibility: Visibility,
    /// Number of the current version.
    pub version: u64,
    /// BLAKE3 of the current version.
    #[schema(value_type = String)]
    pub hash: ContentId,
    /// Its size.
    pub size: u64,
    /// When it was published.
    pub published_ms: i64,
    /// Tags.
    pub tags: Vec<String>,
    /// Live peers that hold the whole current version.
    pub sources: u64,
    /// Last time that a holder was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_ms: Option<i64>,
}

/// `GET /v1/files/{name}`: a file with its versions and, for those who manage it, its access list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileDetail {
    /// The file.
    #[serde(flatten)]
    pub file: File,
    /// Kept versions, newest first.
    pub versions: Vec<Version>,
    /// Who may read or write it; only for the owner and administrators.
    pub access: Vec<Access>,
}

/// A version of a file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// BLAKE3 of its content.
    #[schema(value_type = String)]
    pub hash: ContentId,
    /// Its size.
    pub size: u64,
    /// When it was published.
    pub published_ms: i64,
    /// Live peers that hold all of it.
    pub sources: u64,
}

/// One line of an access list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// An account's name, or `group:` and a group's name.
    pub who: String,
    /// What they may do.
    pub right: Right,
}

/// What an access list gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Find and download.
    Read,
    /// Also publish new versions.
    Write,
}

/// `PATCH /v1/files/{name}`: what is given is changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Who may read it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub visibility: Option<Visibility>,
    /// Lines to add or change.
    #[serde(default)]
    pub grant: Vec<Access>,
    /// Accounts or groups to take off the list.
    #[serde(default)]
    pub withdraw: Vec<String>,
    /// All its tags, at most 20 of at most 64 characters.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}

/// `POST /v1/uploads`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// The name to publish.
    pub name: String,
    /// Size of the content.
    pub size: u64,
    /// Who may read it; counts for a new name only.
    #[serde(default)]
    #[schema(value_type = String, example = "public")]
    pub visibility: Visibility,
    /// Access list of a new name.
    #[serde(default)]
    pub access: Vec<Access>,
    /// Tags of a new name.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The version that it replaces; 0 for a new name.
    #[serde(default)]
    pub replaces: u64,
    /// The peer that should take it; central chooses without it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub peer: Option<PeerId>,
    /// Who will show the ticket: the caller's own identity without it, or the peer that uploads for
    /// the caller.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub bearer: Option<Identity>,
    /// The peer that is asked for has the bytes on its disk already: no room is looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub placed: bool,
}

/// Where to upload.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// The upload.
    #[schema(value_type = String, format = "uuid")]
    pub id: UploadId,
    /// The peer that takes it.
    pub source: Source,
    /// The ticket to show it (envelope, base64); it can be opened for one hour.
    #[serde(alias = "order")]
    pub ticket: String,
}

/// `POST /v1/sources`: who has a file, and the right to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcesRequest {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Or its content: a public file, or one that the caller may have.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub hash: Option<ContentId>,
    /// Or its id.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub file: Option<FileId>,
    /// A version other than the current one.
    #[serde(default)]
    pub version: Option<u64>,
    /// Who will show the grant: the caller's own identity without it, or the peer that downloads
    /// for the caller.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub bearer: Option<Identity>,
    /// A grant of the calling peer's own to renew (envelope, base64), up to 7 days after the
    /// account asked for it.
    #[serde(default)]
    pub renew: Option<String>,
    /// The caller's node and zone, for choosing near sources; a peer's own are known.
    #[serde(default)]
    pub node: String,
    /// See `node`.
    #[serde(default)]
    pub zone: String,
}

/// Who has a file version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sources {
    /// Its record (envelope, base64).
    pub record: String,
    /// A grant for a private file (envelope, base64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// At most 50 live peers: same node first, then zone, then a random draw.
    pub sources: Vec<Source>,
    /// Known holders that are away now.
    pub away: u64,
}

/// A peer that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Its id; its certificate must show it.
    #[schema(value_type = String, format = "uuid")]
    pub peer: PeerId,
    /// IP and port.
    pub address: String,
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// It holds the whole version.
    pub complete: bool,
}

/// `GET /v1/search/{filename}`: the peers that hold a file of exactly this name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Located {
    /// The file.
    pub file: File,
    /// Live peers that hold its current version.
    pub peers: Vec<LocatedPeer>,
}

/// A holder with its address in parts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LocatedPeer {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub peer: PeerId,
    /// IP address.
    pub address: String,
    /// Port of its gRPC service.
    pub port: u16,
    /// It holds the whole version.
    pub complete: bool,
}

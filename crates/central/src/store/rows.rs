//! Rows, and how they become what the service works with. What a column must hold is checked here,
//! and named when it does not.

use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, PeerId, Record, TokenId, Visibility,
};
use peral_wire::rest::{
    accounts::{Account, Role, Token},
    files::{File, Right, Source},
    holdings::VersionRef,
    peers::PeerState,
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Result, StoreError, text::SEPARATOR};

/// A number for a column: what does not fit is the most that does.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a column that holds none below 0.
pub(super) fn nat(
    number: i64,
    table: &'static str,
    column: &'static str,
    row: Uuid,
) -> Result<u64> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt { table, column, row: row.to_string() })
}

/// A content hash from a column.
pub(super) fn hash(bytes: &[u8], table: &'static str, row: Uuid) -> Result<ContentId> {
    ContentId::from_bytes(bytes).map_err(|_| StoreError::Corrupt {
        table,
        column: "hash",
        row: row.to_string(),
    })
}

/// A file name from a column.
pub(super) fn name(text: String, table: &'static str, row: Uuid) -> Result<FileName> {
    FileName::new(text).map_err(|_| StoreError::Corrupt {
        table,
        column: "name",
        row: row.to_string(),
    })
}

/// Visibility from a column.
pub(super) fn visibility(public: bool) -> Visibility {
    if public { Visibility::Public } else { Visibility::Private }
}

/// A new id: a version 7 UUID of the given time.
pub(super) fn new_id(now_ms: i64) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(now_ms.try_into().unwrap_or(0), &rand::random())
        .into_uuid()
}

/// The state of a peer as `leases` has it.
pub(super) fn state_number(state: PeerState) -> i16 {
    match state {
        PeerState::Ready => 0,
        PeerState::Full => 1,
        PeerState::Leaving => 2,
    }
}

#[derive(FromRow)]
pub(super) struct AccountRow {
    pub id: Uuid,
    pub name: String,
    pub admin: bool,
    pub disabled: bool,
    pub created_ms: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        let role = if row.admin { Role::Admin } else { Role::Member };
        Self {
            id: AccountId(row.id),
            name: row.name,
            role,
            disabled: row.disabled,
            created_ms: row.created_ms,
        }
    }
}

#[derive(FromRow)]
pub(super) struct TokenRow {
    pub id: Uuid,
    pub label: String,
    pub account: String,
    pub ends_ms: i64,
    pub uses_left: Option<i64>,
    pub created_ms: i64,
}

impl TokenRow {
    pub(super) fn token(self) -> Token {
        let uses_left = self.uses_left.map(|uses| u32::try_from(uses).unwrap_or(u32::MAX));
        Token {
            id: TokenId(self.id),
            label: self.label,
            account: self.account,
            ends_ms: self.ends_ms,
            uses_left,
            created_ms: self.created_ms,
        }
    }
}

/// A file of a listing.
#[derive(FromRow)]
pub(super) struct FileRow {
    pub id: Uuid,
    pub name: String,
    pub owner: String,
    pub public: bool,
    pub version: i64,
    pub hash: Vec<u8>,
    pub size: i64,
    pub published_ms: i64,
    pub last_seen_ms: Option<i64>,
    pub tags: Option<String>,
    pub sources: i64,
    pub seen_ms: Option<i64>,
}

impl FileRow {
    pub(super) fn file(self) -> Result<File> {
        let mut tags: Vec<String> =
            self.tags.iter().flat_map(|tags| tags.split(SEPARATOR)).map(Into::into).collect();
        tags.sort();
        Ok(File {
            id: FileId(self.id),
            name: name(self.name, "files", self.id)?,
            owner: self.owner,
            visibility: visibility(self.public),
            version: nat(self.version, "files", "version", self.id)?,
            hash: hash(&self.hash, "files", self.id)?,
            size: nat(self.size, "files", "size", self.id)?,
            published_ms: self.published_ms,
            tags,
            sources: nat(self.sources, "holdings", "peer", self.id)?,
            last_seen_ms: self.last_seen_ms.max(self.seen_ms),
        })
    }
}

/// What a record says.
#[derive(FromRow)]
pub(super) struct RecordRow {
    pub file: Uuid,
    pub name: String,
    pub owner: Uuid,
    pub public: bool,
    pub serial: i64,
    pub version: i64,
    pub hash: Vec<u8>,
    pub size: i64,
    pub published_ms: i64,
    pub record: Vec<u8>,
}

impl RecordRow {
    /// What the record says, and its envelope.
    pub(super) fn found(self) -> Result<(Record, Vec<u8>)> {
        let id = self.file;
        let content = Content {
            hash: hash(&self.hash, "versions", id)?,
            size: nat(self.size, "versions", "size", id)?,
        };
        let record = Record {
            file: FileId(id),
            name: name(self.name, "files", id)?,
            version: nat(self.version, "versions", "version", id)?,
            content,
            owner: AccountId(self.owner),
            visibility: visibility(self.public),
            serial: nat(self.serial, "files", "serial", id)?,
            published_ms: self.published_ms,
        };
        Ok((record, self.record))
    }
}

/// A holder.
#[derive(FromRow)]
pub(super) struct SourceRow {
    pub peer: Uuid,
    pub address: String,
    pub node: String,
    pub zone: String,
    pub whole: bool,
}

impl From<SourceRow> for Source {
    fn from(row: SourceRow) -> Self {
        Self {
            peer: PeerId(row.peer),
            address: row.address,
            node: row.node,
            zone: row.zone,
            complete: row.whole,
        }
    }
}

/// A holding to write.
pub(super) struct HoldingRow {
    pub file: Uuid,
    pub version: i64,
    pub bucket: i16,
    pub whole: bool,
}

/// A version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, FromRow)]
pub(super) struct VersionKey {
    pub file: Uuid,
    pub version: i64,
}

impl From<VersionRef> for VersionKey {
    fn from(version: VersionRef) -> Self {
        Self { file: version.file.0, version: int(version.version) }
    }
}

/// The envelope of a version's record.
#[derive(FromRow)]
pub(super) struct EnvelopeRow {
    #[sqlx(flatten)]
    pub key: VersionKey,
    pub record: Vec<u8>,
}

/// A name that was removed.
#[derive(FromRow)]
pub(super) struct TombstoneRow {
    pub id: Uuid,
    pub name: String,
    pub hash: Vec<u8>,
}

/// A version to write.
pub(super) struct VersionRow {
    pub file: FileId,
    pub version: u64,
    pub content: Content,
    pub record: Vec<u8>,
}

/// A heartbeat that counted.
#[derive(FromRow)]
pub(super) struct BeatenRow {
    pub peer: Uuid,
    pub epoch: i64,
    pub last_delta: i64,
    pub newest: i64,
}

/// What an access list line gives.
pub(super) fn right(can_write: bool) -> Right {
    if can_write { Right::Write } else { Right::Read }
}

/// What a name means now.
#[derive(FromRow)]
pub(super) struct CurrentRow {
    pub id: Uuid,
    pub name: String,
    pub owner: Uuid,
    pub public: bool,
    pub serial: i64,
    pub version: i64,
    pub hash: Vec<u8>,
    pub size: i64,
}

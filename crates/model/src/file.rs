//! What central signs: file versions, and rights to them.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Content, FileId, FileName, Identity, PeerId, UploadId};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Every holder of a certificate of this network.
    #[default]
    Public,
    /// The owner, and the accounts and groups that it names.
    Private,
}

/// What central signs for each version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: FileName,
    /// Number of the version, from 1.
    pub version: u64,
    /// Its bytes.
    pub content: Content,
    /// The account that owns the name.
    pub owner: AccountId,
    /// Who may read it.
    pub visibility: Visibility,
    /// Rises with each change of who may have the file.
    pub serial: u64,
    /// When this version was published, in milliseconds since 1970.
    pub published_ms: i64,
}

/// What a grant lets its bearer do with a file version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Fetch its bytes.
    Get,
}

/// A right to a private file, checked by peers without central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The file version it is for.
    pub record: Record,
    /// What it lets its bearer do.
    pub verbs: Vec<Verb>,
    /// The account that has the right.
    pub account: AccountId,
    /// The one certificate identity that may show it.
    pub bearer: Identity,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
    /// When the account itself asked for it; a renewal keeps this time.
    pub asked_ms: i64,
}

/// A grant to upload: what one bearer may put on one peer under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The upload.
    pub upload: UploadId,
    /// The peer that takes the bytes.
    pub peer: PeerId,
    /// The name to publish.
    pub name: FileName,
    /// Most bytes that the peer takes.
    pub max_size: u64,
    /// Who may read it.
    pub visibility: Visibility,
    /// The account that it is published for.
    pub account: AccountId,
    /// The one certificate identity that may show it.
    pub bearer: Identity,
    /// Until when the upload can be opened, in milliseconds since 1970.
    pub expires_ms: i64,
}

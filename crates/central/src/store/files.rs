//! Files: looking them up, changing who may have them, removing them.

use async_trait::async_trait;
use peral_model::{ContentId, FileId, FileName, Record};
use peral_wire::rest::files::{FileChange, FileDetail, Located, Source};

use super::{Result, Viewer, publish::Seal};

/// How a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKey {
    /// By its name.
    Name(FileName),
    /// By its id.
    Id(FileId),
    /// By the content of a kept version; the newest file that the viewer may see.
    Hash(ContentId),
}

/// A file version that the viewer may read.
#[derive(Debug, Clone)]
pub struct Found {
    /// What the record says.
    pub record: Record,
    /// The record's envelope.
    pub envelope: Vec<u8>,
}

/// Who has a version; near whom.
#[derive(Debug, Clone)]
pub struct SourcesOf {
    /// The file.
    pub file: FileId,
    /// The version.
    pub version: u64,
    /// Node of who asks; empty if unknown.
    pub node: String,
    /// Zone of who asks; empty if unknown.
    pub zone: String,
    /// Most sources.
    pub limit: u32,
    /// Now.
    pub now_ms: i64,
}

/// Who has a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceList {
    /// Live peers: same node first, then same zone, then a random draw.
    pub sources: Vec<Source>,
    /// Holders that are away now.
    pub away: u64,
}

/// Files.
#[async_trait]
pub trait Files: Send + Sync {
    /// A file with its kept versions, and its access list for those who manage it.
    async fn file(
        &self,
        name: &FileName,
        viewer: Viewer,
        now_ms: i64,
    ) -> Result<Option<FileDetail>>;
    /// A version of a file; without a number, the current one, or for a hash the one that has it.
    async fn find(
        &self,
        key: FileKey,
        version: Option<u64>,
        viewer: Viewer,
    ) -> Result<Option<Found>>;
    /// Live peers that hold all or part of a version.
    async fn sources(&self, of: SourcesOf) -> Result<SourceList>;
    /// The live holders of the current version of a name, at most 1,000.
    async fn locate(&self, name: &FileName, viewer: Viewer, now_ms: i64)
    -> Result<Option<Located>>;
    /// Changes visibility, access list or tags. Where it changes who may have the file, the serial
    /// rises, all kept versions are signed again and the holders get a notice.
    ///
    /// # Errors
    /// Refused: the viewer sees the file and does not manage it; an account or group is unknown.
    async fn change_file(
        &self,
        name: &FileName,
        viewer: Viewer,
        change: FileChange,
        seal: Seal,
        now_ms: i64,
    ) -> Result<Option<FileDetail>>;
    /// Removes a name and leaves a tombstone; the holders get a notice. False if the viewer sees no
    /// such file.
    ///
    /// # Errors
    /// Refused: the viewer sees the file and does not manage it.
    async fn remove_file(&self, name: &FileName, viewer: Viewer, now_ms: i64) -> Result<bool>;
}

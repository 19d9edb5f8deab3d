//! Files: looking them up and searching for them, changing who may have them, removing them.

use async_trait::async_trait;
use peral_model::{
    ContentId, FileId, FileName, Record,
    search::{Query, Term},
};
use peral_wire::rest::{
    Page,
    files::{File, FileChange, FileDetail, Located, Source},
};

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
pub struct FoundVersion {
    pub record: Record,
    pub envelope: Vec<u8>,
}

/// Who has a version; near whom.
#[derive(Debug, Clone)]
pub struct SourcesOf {
    pub file: FileId,
    pub version: u64,
    /// Node of who asks; empty if unknown.
    pub node: String,
    /// Zone of who asks; empty if unknown.
    pub zone: String,
    /// Most sources.
    pub limit: u32,
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
    ) -> Result<Option<FoundVersion>>;
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
    /// Deletes a file and leaves a tombstone; the holders get a notice. False if the viewer sees no
    /// such file.
    ///
    /// # Errors
    /// Refused: the viewer sees the file and does not manage it.
    async fn delete_file(&self, name: &FileName, viewer: Viewer, now_ms: i64) -> Result<bool>;
}

/// Most files of one page.
pub const MAX_PAGE: u32 = 1000;

#[derive(Debug, Clone)]
pub struct FileSearch {
    pub query: Query,
    pub owner: Option<String>,
    pub tag: Option<String>,
    /// The content of the current version.
    pub hash: Option<ContentId>,
    /// The last name of the page before.
    pub after: Option<String>,
    /// Most files; at most [`MAX_PAGE`] are given.
    pub limit: u32,
    /// Who looks: nothing that it may not see is found.
    pub viewer: Viewer,
    pub now_ms: i64,
}

impl FileSearch {
    /// The contents that it names, by a term or by its own field.
    pub(super) fn hashes(&self) -> impl Iterator<Item = Vec<u8>> {
        let terms = self.query.terms.iter().filter_map(|term| match term {
            Term::Hash(hash) => Some(hash.to_vec()),
            _ => None,
        });
        terms.chain(self.hash.map(ContentId::to_vec))
    }
}

#[async_trait]
pub trait Searches: Send + Sync {
    /// The next page of files, in byte order of their names; `next` is the last name of it where
    /// there may be more.
    async fn search(&self, search: FileSearch) -> Result<Page<File>>;
}

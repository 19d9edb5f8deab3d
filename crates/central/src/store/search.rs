//! Search: names by terms, in the order of their bytes.

use async_trait::async_trait;
use peral_model::{
    ContentId,
    search::{Query, Term},
};
use peral_wire::rest::{Page, files::File};

use super::{Result, Viewer};

/// Most files of one page.
pub const MAX_PAGE: u32 = 1000;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The terms.
    pub query: Query,
    /// Name of the owner.
    pub owner: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// The content of the current version.
    pub hash: Option<ContentId>,
    /// The last name of the page before.
    pub after: Option<String>,
    /// Most files; at most [`MAX_PAGE`] are given.
    pub limit: u32,
    /// Who looks: nothing that it may not see is found.
    pub viewer: Viewer,
    /// Now.
    pub now_ms: i64,
}

impl Search {
    /// The contents that it names, by a term or by its own field.
    pub(super) fn hashes(&self) -> impl Iterator<Item = Vec<u8>> {
        let terms = self.query.terms.iter().filter_map(|term| match term {
            Term::Hash(hash) => Some(hash.to_vec()),
            _ => None,
        });
        terms.chain(self.hash.map(ContentId::to_vec))
    }
}

/// Search.
#[async_trait]
pub trait Searches: Send + Sync {
    /// The next page of files, in byte order of their names; `next` is the last name of it where
    /// there may be more.
    async fn search(&self, search: Search) -> Result<Page<File>>;
}

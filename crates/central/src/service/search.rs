//! Searching for files, by terms and by their exact name.

use std::fmt::Display;

use peral_model::{FileName, search::Query};
use peral_wire::{
    Failure, fail,
    rest::{
        Page,
        files::{File, Located},
    },
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    app::App,
    caller::Caller,
    check::at_most,
    files::{MAX_TAG, no_file},
    listing,
};
use crate::store::files::{FileSearch, MAX_PAGE};

/// Default number of files of a page.
const PAGE: u32 = 100;

/// A search for files.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// Terms, separated by spaces; all must match. A term of three or more characters matches
    /// anywhere in the name, a shorter one the start of a word. A term with `*` or `?` is a pattern
    /// for the whole name.
    #[serde(default)]
    pub q: String,
    /// Name of the account that owns the file.
    pub owner: Option<String>,
    /// A tag of the file.
    pub tag: Option<String>,
    /// BLAKE3 of the content, hexadecimal.
    pub hash: Option<String>,
    /// Where to continue: `next` of the previous page.
    pub cursor: Option<String>,
    /// Maximum number of rows, at least 1 [default: 100]. More than 1,000 count as 1,000.
    pub limit: Option<u32>,
}

impl App {
    /// The next page of a search.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub async fn search(&self, caller: &Caller, asked: SearchQuery) -> Result<Page<File>, Failure> {
        let outcome = self.try_search(caller, asked).await;
        self.metrics.search("words", &outcome);
        outcome
    }

    async fn try_search(&self, caller: &Caller, asked: SearchQuery) -> Result<Page<File>, Failure> {
        let wrong = |error: &dyn Display| fail!(InvalidArgument, "{error}");
        at_most("query", &asked.q, usize::MAX)?;
        for text in [&asked.owner, &asked.tag].into_iter().flatten() {
            at_most("owner or tag", text, MAX_TAG)?;
        }
        let search = FileSearch {
            query: Query::parse(&asked.q).map_err(|error| wrong(&error))?,
            owner: asked.owner,
            tag: asked.tag,
            hash: asked
                .hash
                .map(|hash| hash.parse())
                .transpose()
                .map_err(|error: peral_model::content::InvalidContentId| wrong(&error))?,
            after: asked.cursor.as_deref().map(listing::open).transpose()?,
            limit: listing::rows(asked.limit, PAGE, MAX_PAGE)?,
            viewer: caller.viewer(),
            now_ms: self.now(),
        };
        Ok(listing::seal(self.store()?.search(search).await?))
    }

    /// The peers that hold the file with exactly this name.
    ///
    /// # Errors
    /// NOT_FOUND: it does not exist, or the caller may not see it.
    pub async fn locate(&self, caller: &Caller, name: &FileName) -> Result<Located, Failure> {
        let outcome = self.try_locate(caller, name).await;
        self.metrics.search("exact", &outcome);
        outcome
    }

    async fn try_locate(&self, caller: &Caller, name: &FileName) -> Result<Located, Failure> {
        let located = self.store()?.locate(name, caller.viewer(), self.now()).await?;
        located.ok_or_else(|| no_file(name))
    }
}

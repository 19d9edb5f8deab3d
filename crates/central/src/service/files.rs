//! Files: looking up, changing, removing, searching.

use peral_model::{FileName, search::Query};
use peral_wire::{
    Failure, fail,
    rest::{
        Page,
        files::{Access, File, FileChange, FileDetail, Located},
    },
};

use super::{App, Caller, listing, short};
use crate::{
    http::files::SearchQuery,
    store::search::{MAX_PAGE, Search},
};

/// Most lines of an access list that one call takes.
const MAX_ACCESS: usize = 200;
/// Most tags of a file.
const MAX_TAGS: usize = 20;
/// Most characters of a tag.
const MAX_TAG: usize = 64;
/// Most characters of who is on an access list: `group:` and a name.
const MAX_WHO: usize = 70;
/// Files of a page where the caller does not say.
const PAGE: u32 = 100;

impl App {
    /// A file.
    ///
    /// # Errors
    /// NOT_FOUND: not there, or not for this caller.
    pub async fn file(&self, caller: &Caller, name: &FileName) -> Result<FileDetail, Failure> {
        self.store()?.file(name, caller.viewer(), self.now()).await?.ok_or_else(|| no_file(name))
    }

    /// Changes who may have a file, or its tags.
    ///
    /// # Errors
    /// NOT_FOUND. FORBIDDEN: it is another's.
    pub async fn change_file(
        &self,
        caller: &Caller,
        name: &FileName,
        change: FileChange,
    ) -> Result<FileDetail, Failure> {
        checked_lists(&change.grant, change.tags.as_deref().unwrap_or_default())?;
        if change.withdraw.len() > MAX_ACCESS {
            return Err(fail!(
                InvalidArgument,
                "{} to take off the access list at once; the most is {MAX_ACCESS}",
                change.withdraw.len()
            ));
        }
        change
            .withdraw
            .iter()
            .try_for_each(|who| short("name on the access list", who, MAX_WHO))?;
        let changed = self
            .store()?
            .change_file(name, caller.viewer(), change, self.seal(), self.now())
            .await?;
        let changed = changed.ok_or_else(|| no_file(name))?;
        tracing::info!(file = %changed.file.id, by = %caller.identity(), "changed a file");
        Ok(changed)
    }

    /// Removes a name.
    ///
    /// # Errors
    /// NOT_FOUND. FORBIDDEN: it is another's.
    pub async fn remove_file(&self, caller: &Caller, name: &FileName) -> Result<(), Failure> {
        if !self.store()?.remove_file(name, caller.viewer(), self.now()).await? {
            return Err(no_file(name));
        }
        tracing::info!(file = ?name.as_str(), by = %caller.identity(), "removed a file");
        Ok(())
    }

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
        let wrong = |error: &dyn std::fmt::Display| fail!(InvalidArgument, "{error}");
        short("query", &asked.q, usize::MAX)?;
        for text in [&asked.owner, &asked.tag].into_iter().flatten() {
            short("owner or tag", text, MAX_TAG)?;
        }
        let search = Search {
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

    /// The peers that hold a file of exactly this name.
    ///
    /// # Errors
    /// NOT_FOUND: not there, or not for this caller.
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

/// One answer for what is not there and for what the caller may not see.
fn no_file(name: &FileName) -> Failure {
    fail!(NotFound, "there is no file {:?}", name.as_str())
}

/// Checks how long access lists and tags are; who is on them is for the store to know.
pub(super) fn checked_lists(access: &[Access], tags: &[String]) -> Result<(), Failure> {
    if access.len() > MAX_ACCESS {
        return Err(fail!(
            InvalidArgument,
            "{} lines for the access list at once; the most is {MAX_ACCESS}",
            access.len()
        ));
    }
    access.iter().try_for_each(|line| short("name on the access list", &line.who, MAX_WHO))?;
    if tags.len() > MAX_TAGS || tags.iter().any(String::is_empty) {
        return Err(fail!(
            InvalidArgument,
            "a file has at most {MAX_TAGS} tags, none of them empty"
        ));
    }
    tags.iter().try_for_each(|tag| short("tag", tag, MAX_TAG))
}

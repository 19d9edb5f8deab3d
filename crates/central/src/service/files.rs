//! Files: looking up, changing, deleting.

use peral_model::FileName;
use peral_wire::{
    Failure, fail,
    rest::files::{Access, FileChange, FileDetail},
};

use super::{app::App, caller::Caller, check::at_most};

/// Maximum number of lines of an access list in one call.
const MAX_ACCESS: usize = 200;
/// Maximum number of tags of a file.
const MAX_TAGS: usize = 20;
/// Maximum number of characters of a tag.
pub(super) const MAX_TAG: usize = 64;
/// Maximum number of characters of a line on an access list: `group:` and a name.
const MAX_WHO: usize = 70;

impl App {
    /// A file.
    ///
    /// # Errors
    /// NOT_FOUND: it does not exist, or the caller may not see it.
    pub async fn file(&self, caller: &Caller, name: &FileName) -> Result<FileDetail, Failure> {
        self.store()?.file(name, caller.viewer(), self.now()).await?.ok_or_else(|| no_file(name))
    }

    /// Changes who can read a file, or its tags.
    ///
    /// # Errors
    /// NOT_FOUND. FORBIDDEN: it belongs to another account.
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
                "{} names to remove from the access list in one call; the maximum is {MAX_ACCESS}",
                change.withdraw.len()
            ));
        }
        change
            .withdraw
            .iter()
            .try_for_each(|who| at_most("name on the access list", who, MAX_WHO))?;
        let changed = self
            .store()?
            .change_file(name, caller.viewer(), change, self.seal(), self.now())
            .await?;
        let changed = changed.ok_or_else(|| no_file(name))?;
        tracing::info!(file = %changed.file.id, by = %caller.identity(), "changed a file");
        Ok(changed)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// NOT_FOUND. FORBIDDEN: it belongs to another account.
    pub async fn delete_file(&self, caller: &Caller, name: &FileName) -> Result<(), Failure> {
        if !self.store()?.delete_file(name, caller.viewer(), self.now()).await? {
            return Err(no_file(name));
        }
        tracing::info!(file = ?name.as_str(), by = %caller.identity(), "deleted a file");
        Ok(())
    }
}

/// The same answer for files that do not exist and for those that the caller may not see.
pub(super) fn no_file(name: &FileName) -> Failure {
    fail!(NotFound, "the file {:?} does not exist, or you may not see it", name.as_str())
}

/// Checks the length of access lists and tags; the store checks who is on them.
pub(super) fn checked_lists(access: &[Access], tags: &[String]) -> Result<(), Failure> {
    if access.len() > MAX_ACCESS {
        return Err(fail!(
            InvalidArgument,
            "{} names to add to the access list in one call; the maximum is {MAX_ACCESS}",
            access.len()
        ));
    }
    access.iter().try_for_each(|line| at_most("name on the access list", &line.who, MAX_WHO))?;
    if tags.len() > MAX_TAGS || tags.iter().any(String::is_empty) {
        return Err(fail!(
            InvalidArgument,
            "a file can have at most {MAX_TAGS} tags, and none may be empty"
        ));
    }
    tags.iter().try_for_each(|tag| at_most("tag", tag, MAX_TAG))
}

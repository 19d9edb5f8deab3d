//! Files: looking up, changing, removing.

use peral_model::FileName;
use peral_wire::{
    Failure, fail,
    rest::files::{Access, FileChange, FileDetail},
};

use super::{app::App, caller::Caller, check::at_most};

/// Most lines of an access list that one call takes.
const MAX_ACCESS: usize = 200;
/// Most tags of a file.
const MAX_TAGS: usize = 20;
/// Most characters of a tag.
pub(super) const MAX_TAG: usize = 64;
/// Most characters of who is on an access list: `group:` and a name.
const MAX_WHO: usize = 70;

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
            .try_for_each(|who| at_most("name on the access list", who, MAX_WHO))?;
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
}

/// One answer for what is not there and for what the caller may not see.
pub(super) fn no_file(name: &FileName) -> Failure {
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
    access.iter().try_for_each(|line| at_most("name on the access list", &line.who, MAX_WHO))?;
    if tags.len() > MAX_TAGS || tags.iter().any(String::is_empty) {
        return Err(fail!(
            InvalidArgument,
            "a file has at most {MAX_TAGS} tags, none of them empty"
        ));
    }
    tags.iter().try_for_each(|tag| at_most("tag", tag, MAX_TAG))
}

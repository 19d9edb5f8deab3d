//! Accounts and their groups.

use async_trait::async_trait;
use peral_model::{AccountId, GroupId, SessionId};
use peral_wire::rest::{
    Page,
    accounts::{Account, Group, Role},
};

use super::{Paging, Result};

#[derive(Clone)]
pub struct NewAccount {
    /// Its name; unique.
    pub name: String,
    pub role: Role,
    /// Hash of its password (PHC text); without one it logs in by API token only.
    pub password: Option<String>,
    pub now_ms: i64,
}

/// What to change of an account.
#[derive(Clone, Default)]
pub struct AccountChange {
    pub role: Option<Role>,
    /// Disable, or enable again. Disabling ends its sessions, tokens of every kind and peers, with
    /// a notice for each identity.
    pub disabled: Option<bool>,
    /// Hash of the new password; ends the account's sessions.
    pub password: Option<String>,
}

/// A new password, given by the account itself.
#[derive(Clone)]
pub struct PasswordChange {
    /// The hash against which the current password was checked: nothing changes if it is no longer
    /// the account's.
    pub expected: String,
    /// Hash of the new one.
    pub new: String,
    /// The session that goes on; all others end.
    pub keep: Option<SessionId>,
}

/// An account with what proves it.
#[derive(Clone)]
pub struct Secret {
    pub account: Account,
    /// Hash of its password.
    pub password: Option<String>,
}

#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account.
    ///
    /// # Errors
    /// Conflict: the name is taken.
    async fn create_account(&self, account: NewAccount) -> Result<Account>;
    /// Creates an account only if there is no administrator; nothing otherwise.
    async fn create_first_administrator(&self, account: NewAccount) -> Result<Option<Account>>;
    /// Is there an administrator?
    async fn has_administrator(&self) -> Result<bool>;
    /// Accounts in the order of their names.
    async fn accounts(&self, paging: Paging) -> Result<Page<Account>>;
    async fn account(&self, id: AccountId) -> Result<Option<Account>>;
    /// The account of that name, with its password's hash.
    async fn secret(&self, name: &str) -> Result<Option<Secret>>;
    /// Changes an account.
    ///
    /// # Errors
    /// Refused: it is the last enabled administrator.
    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
        now_ms: i64,
    ) -> Result<Option<Account>>;
    /// Changes a password; false when the expected one is not the current one.
    async fn change_password(
        &self,
        id: AccountId,
        change: PasswordChange,
        now_ms: i64,
    ) -> Result<bool>;
}

#[async_trait]
pub trait Groups: Send + Sync {
    /// Makes a group.
    ///
    /// # Errors
    /// Conflict: the name is taken.
    async fn create_group(&self, name: &str) -> Result<Group>;
    /// Groups in the order of their names, with the names of their members.
    async fn groups(&self, paging: Paging) -> Result<Page<Group>>;
    /// Names of the groups of an account.
    async fn groups_of(&self, account: AccountId) -> Result<Vec<String>>;
    /// Deletes a group and takes it off all access lists. Grants that came by it run out within
    /// their hour: no serial rises.
    async fn delete_group(&self, id: GroupId) -> Result<bool>;
    /// Puts an account into a group; false if either is not there.
    async fn add_member(&self, group: GroupId, account: AccountId) -> Result<bool>;
    /// Takes an account out of a group; false if it was not in it. Grants as with
    /// [`Groups::delete_group`].
    async fn remove_member(&self, group: GroupId, account: AccountId) -> Result<bool>;
}

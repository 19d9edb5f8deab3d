//! Accounts, groups, API tokens and join tokens.

use async_trait::async_trait;
use peral_model::{AccountId, GroupId, SessionId, TokenId};
use peral_wire::rest::{
    Page,
    accounts::{Account, Group, Role, Token},
};

use super::{Paging, Result};

/// Most API tokens, and most join tokens, of one account.
pub const MAX_TOKENS: u32 = 1000;

/// An account to make.
#[derive(Clone)]
pub struct NewAccount {
    /// Its name; unique.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Hash of its password (PHC text); without one it logs in by API token only.
    pub password: Option<String>,
    /// Now.
    pub now_ms: i64,
}

/// What to change of an account.
#[derive(Clone, Default)]
pub struct AccountChange {
    /// New role.
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
    /// The account.
    pub account: Account,
    /// Hash of its password.
    pub password: Option<String>,
}

/// A token to keep, by the hash of its secret.
#[derive(Clone)]
pub struct NewToken {
    /// Hash of the secret text (32 bytes).
    pub hash: Vec<u8>,
    /// What it is for.
    pub label: String,
    /// Its account.
    pub account: AccountId,
    /// Of a join token: how many peers may join by it.
    pub uses: Option<u32>,
    /// When it ends.
    pub ends_ms: i64,
    /// Now.
    pub now_ms: i64,
}

/// An API token that was shown.
#[derive(Clone)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Its account, which is enabled.
    pub account: Account,
    /// When it ends.
    pub ends_ms: i64,
}

/// Accounts and what belongs to them.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account.
    ///
    /// # Errors
    /// Conflict: the name is taken.
    async fn add_account(&self, account: NewAccount) -> Result<Account>;
    /// Makes an account only if there is no administrator; nothing otherwise.
    async fn add_first_administrator(&self, account: NewAccount) -> Result<Option<Account>>;
    /// Is there an administrator?
    async fn has_administrator(&self) -> Result<bool>;
    /// Accounts in the order of their names.
    async fn accounts(&self, paging: Paging) -> Result<Page<Account>>;
    /// An account.
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

    /// Makes a group.
    ///
    /// # Errors
    /// Conflict: the name is taken.
    async fn add_group(&self, name: &str) -> Result<Group>;
    /// Groups in the order of their names, with the names of their members.
    async fn groups(&self, paging: Paging) -> Result<Page<Group>>;
    /// Names of the groups of an account.
    async fn groups_of(&self, account: AccountId) -> Result<Vec<String>>;
    /// Removes a group and takes it off all access lists. Grants that came by it run out within
    /// their hour: no serial rises.
    async fn remove_group(&self, id: GroupId) -> Result<bool>;
    /// Puts an account into a group; false if either is not there.
    async fn add_member(&self, group: GroupId, account: AccountId) -> Result<bool>;
    /// Takes an account out of a group; false if it was not in it. Grants as with
    /// [`Accounts::remove_group`].
    async fn remove_member(&self, group: GroupId, account: AccountId) -> Result<bool>;

    /// Keeps an API token.
    ///
    /// # Errors
    /// Refused: the account is disabled, unknown or has too many.
    async fn add_api_token(&self, token: NewToken) -> Result<Token>;
    /// API tokens of one account, or of all, that have not ended, newest last.
    async fn api_tokens(
        &self,
        account: Option<AccountId>,
        paging: Paging,
        now_ms: i64,
    ) -> Result<Page<Token>>;
    /// The API token with this hash, if it has not ended and its account is enabled.
    async fn api_token(&self, hash: &[u8], now_ms: i64) -> Result<Option<ApiToken>>;
    /// Ends an API token (of this account, if one is given) and the sessions that it began.
    async fn remove_api_token(
        &self,
        id: TokenId,
        account: Option<AccountId>,
        now_ms: i64,
    ) -> Result<bool>;
    /// Keeps a join token.
    ///
    /// # Errors
    /// As [`Accounts::add_api_token`].
    async fn add_join_token(&self, token: NewToken) -> Result<Token>;
    /// Join tokens that have not ended, newest last.
    async fn join_tokens(&self, paging: Paging, now_ms: i64) -> Result<Page<Token>>;
    /// Ends a join token.
    async fn remove_join_token(&self, id: TokenId) -> Result<bool>;
}

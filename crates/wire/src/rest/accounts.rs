//! Accounts, groups, API tokens and join tokens.

use peral_model::{AccountId, GroupId, SessionId, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account may do beyond its own files.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses the network.
    Member,
    /// Also manages accounts, peers and all files.
    Admin,
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Disabled accounts have no sessions, tokens or peers.
    pub disabled: bool,
    /// When it was made.
    pub created_ms: i64,
}

/// `POST /v1/accounts`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 64 characters of `a-z 0-9 . _ -`, beginning with a letter or digit.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its first password; an account without one logs in by API token only.
    #[serde(default)]
    pub password: Option<String>,
}

/// `PATCH /v1/accounts/{id}`: what is given is changed.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// New role.
    #[serde(default)]
    pub role: Option<Role>,
    /// Disable, or enable again. Disabling ends its sessions, tokens and peers.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// New password; ends the account's sessions.
    #[serde(default)]
    pub password: Option<String>,
}

/// A group of accounts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Names of its accounts.
    pub members: Vec<String>,
}

/// `POST /v1/groups`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// As an account's name.
    pub name: String,
}

/// `POST /v1/tokens`: an API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// What it is for; at most 100 characters.
    pub label: String,
    /// For which account (administrators); the caller's own without it.
    #[serde(default)]
    pub account: Option<String>,
    /// When it ends; at most a year from now. Without it, 90 days.
    #[serde(default)]
    pub ends_ms: Option<i64>,
}

/// `POST /v1/join-tokens`: lets peers join for an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// What it is for; at most 100 characters.
    pub label: String,
    /// The account that the peers work for.
    pub account: String,
    /// How many peers may join by it.
    pub uses: u32,
    /// When it ends. Without it, in 24 hours.
    #[serde(default)]
    pub ends_ms: Option<i64>,
}

/// A token as listings show it; its secret is shown once, when it is made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: TokenId,
    /// What it is for.
    pub label: String,
    /// Name of its account.
    pub account: String,
    /// When it ends.
    pub ends_ms: i64,
    /// Of a join token: how many peers may still join by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// When it was made.
    pub created_ms: i64,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MintedToken {
    /// As listings show it.
    #[serde(flatten)]
    pub token: Token,
    /// The secret text; shown this once.
    pub secret: String,
}

/// A login of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: SessionId,
    /// What it was called at login.
    pub label: String,
    /// When it began.
    pub created_ms: i64,
    /// When it ends.
    pub ends_ms: i64,
    /// It is the one that asks.
    pub current: bool,
}

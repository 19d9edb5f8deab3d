//! API tokens and join tokens.

use async_trait::async_trait;
use peral_model::{AccountId, TokenId};
use peral_wire::rest::{
    Page,
    accounts::{Account, Token},
};

use super::{Paging, Result};

/// Most API tokens, and most join tokens, of one account.
pub const MAX_TOKENS: u32 = 1000;

/// A token to keep, by the hash of its secret.
#[derive(Clone)]
pub struct NewToken {
    /// Hash of the secret text (32 bytes).
    pub hash: Vec<u8>,
    pub label: String,
    pub account: AccountId,
    /// Of a join token: how many peers may join by it.
    pub uses: Option<u32>,
    pub ends_ms: i64,
    pub now_ms: i64,
}

/// An API token that was shown.
#[derive(Clone)]
pub struct ApiToken {
    pub id: TokenId,
    /// Its account, which is enabled.
    pub account: Account,
    pub ends_ms: i64,
}

#[async_trait]
pub trait Tokens: Send + Sync {
    /// Creates an API token.
    ///
    /// # Errors
    /// Refused: the account is disabled, unknown or has too many.
    async fn create_api_token(&self, token: NewToken) -> Result<Token>;
    /// API tokens of one account, or of all, that have not ended, newest last.
    async fn api_tokens(
        &self,
        account: Option<AccountId>,
        paging: Paging,
        now_ms: i64,
    ) -> Result<Page<Token>>;
    /// The API token with this hash, if it has not ended and its account is enabled.
    async fn api_token(&self, hash: &[u8], now_ms: i64) -> Result<Option<ApiToken>>;
    /// Revokes an API token (of this account, if one is given) and the sessions that it began.
    async fn revoke_api_token(
        &self,
        id: TokenId,
        account: Option<AccountId>,
        now_ms: i64,
    ) -> Result<bool>;
    /// Creates a join token.
    ///
    /// # Errors
    /// As [`Tokens::create_api_token`].
    async fn create_join_token(&self, token: NewToken) -> Result<Token>;
    /// Join tokens that have not ended, newest last.
    async fn join_tokens(&self, paging: Paging, now_ms: i64) -> Result<Page<Token>>;
    /// Revokes a join token.
    async fn revoke_join_token(&self, id: TokenId) -> Result<bool>;
}

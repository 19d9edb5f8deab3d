//! Sessions: logins of accounts, and the nonces that proofs have used.

use async_trait::async_trait;
use peral_model::{AccountId, SessionId, TokenId};
use peral_wire::rest::accounts::{Account, Session};

use super::Result;

/// Most sessions of one account by its password, and by each of its tokens; the oldest ends when
/// one more begins.
pub const MAX_SESSIONS: u32 = 200;

/// Why an account was believed. Checked again where the session begins.
#[derive(Clone)]
pub enum Basis {
    /// Its password, checked against this hash.
    Password(String),
    ApiToken(TokenId),
}

#[derive(Clone)]
pub struct NewSession {
    pub account: AccountId,
    pub basis: Basis,
    /// The key of its certificate (uncompressed P-256 point).
    pub public_key: Vec<u8>,
    /// What to call it in listings.
    pub label: String,
    pub ends_ms: i64,
    /// When its first certificate ends.
    pub certificate_ends_ms: i64,
    pub now_ms: i64,
}

/// A session that goes on.
#[derive(Clone)]
pub struct LiveSession {
    pub id: SessionId,
    /// Its account, which is enabled.
    pub account: Account,
    /// The key of its certificate.
    pub public_key: Vec<u8>,
    pub ends_ms: i64,
}

#[async_trait]
pub trait Sessions: Send + Sync {
    /// Remembers a nonce until `ends_ms`; false if it was remembered before. Exactly one of several
    /// callers gets true.
    async fn use_nonce(&self, nonce: &[u8], ends_ms: i64) -> Result<bool>;
    /// Begins a session.
    ///
    /// # Errors
    /// Refused: the account is disabled, or what proved it no longer does.
    async fn begin_session(&self, session: NewSession) -> Result<SessionId>;
    /// The session, if it has not ended.
    async fn session(&self, id: SessionId, now_ms: i64) -> Result<Option<LiveSession>>;
    /// Remembers when the session's newest certificate ends; false if the session has ended.
    async fn renew_session(
        &self,
        id: SessionId,
        certificate_ends_ms: i64,
        now_ms: i64,
    ) -> Result<bool>;
    /// Ends a session (of this account, if one is given), with a notice that lasts until its last
    /// certificate ends.
    async fn end_session(
        &self,
        id: SessionId,
        account: Option<AccountId>,
        now_ms: i64,
    ) -> Result<bool>;
    /// The sessions of an account, newest first; `current` is always false.
    async fn sessions(&self, account: AccountId, now_ms: i64) -> Result<Vec<Session>>;
}

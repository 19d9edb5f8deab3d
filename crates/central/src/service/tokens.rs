//! API tokens and join tokens: random texts, kept by their hash.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use peral_model::{AccountId, TokenId};
use peral_wire::{
    Failure, fail,
    rest::{
        Page,
        accounts::{MintedToken, NewApiToken, NewJoinToken, Role, Token},
    },
};

use super::{app::App, caller::Caller, check::at_most, listing, listing::PageQuery};
use crate::store::accounts::NewToken;

const DAY_MS: i64 = 24 * 3_600_000;
/// How long an API token lasts that says nothing of it, in milliseconds.
const API_MS: i64 = 90 * DAY_MS;
/// Longest life of a token, in milliseconds.
const LONGEST_MS: i64 = 366 * DAY_MS;
/// Most peers that may join by one token.
const MAX_USES: u32 = 100_000;

/// The hash by which a token is kept. Tokens are random, so that no salt and no slow hash are
/// needed.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}

fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

impl App {
    /// API tokens: the caller's own; for administrators, all.
    ///
    /// # Errors
    /// FORBIDDEN for a peer.
    pub async fn api_tokens(
        &self,
        caller: &Caller,
        page: &PageQuery,
    ) -> Result<Page<Token>, Failure> {
        caller.session()?;
        let whose = (caller.role != Role::Admin).then_some(caller.account);
        Ok(listing::seal(self.store()?.api_tokens(whose, page.paging()?, self.now()).await?))
    }

    /// Makes an API token.
    ///
    /// # Errors
    /// FORBIDDEN: for another account, by a member. NOT_FOUND: no such account.
    pub async fn add_api_token(
        &self,
        caller: &Caller,
        new: NewApiToken,
    ) -> Result<MintedToken, Failure> {
        caller.session()?;
        let account = match &new.account {
            None => caller.account,
            Some(name) => self.account_named(caller, name).await?,
        };
        let secret = fresh("peral_api");
        let token = self.token(&secret, new.label, account, None, new.ends_ms, API_MS)?;
        let token = self.store()?.add_api_token(token).await?;
        tracing::info!(token = %token.id, account = token.account, by = %caller.identity(), "made an API token");
        Ok(MintedToken { token, secret })
    }

    async fn account_named(&self, caller: &Caller, name: &str) -> Result<AccountId, Failure> {
        let known = self.store()?.secret(name).await?.map(|known| known.account.id);
        match known {
            Some(id) if id == caller.account || caller.role == Role::Admin => Ok(id),
            _ if caller.role != Role::Admin => {
                Err(fail!(Forbidden, "only administrators make tokens for other accounts"))
            }
            _ => Err(fail!(NotFound, "there is no account {name:?}")),
        }
    }

    fn token(
        &self,
        secret: &str,
        label: String,
        account: AccountId,
        uses: Option<u32>,
        ends_ms: Option<i64>,
        usual_ms: i64,
    ) -> Result<NewToken, Failure> {
        at_most("label", &label, 100)?;
        let now_ms = self.now();
        let ends_ms = ends_ms.unwrap_or(now_ms + usual_ms);
        if ends_ms <= now_ms || ends_ms > now_ms + LONGEST_MS {
            return Err(fail!(InvalidArgument, "a token ends in the future, and within 366 days"));
        }
        Ok(NewToken { hash: hash(secret), label, account, uses, ends_ms, now_ms })
    }

    /// Ends an API token, and the sessions that it began.
    ///
    /// # Errors
    /// NOT_FOUND: no such token, or another account's.
    pub async fn remove_api_token(&self, caller: &Caller, id: TokenId) -> Result<(), Failure> {
        caller.session()?;
        let whose = (caller.role != Role::Admin).then_some(caller.account);
        if !self.store()?.remove_api_token(id, whose, self.now()).await? {
            return Err(fail!(NotFound, "there is no API token {id}"));
        }
        self.live.forget_all();
        tracing::info!(token = %id, by = %caller.identity(), "ended an API token");
        Ok(())
    }

    /// Join tokens.
    ///
    /// # Errors
    /// Of the database.
    pub async fn join_tokens(&self, page: &PageQuery) -> Result<Page<Token>, Failure> {
        Ok(listing::seal(self.store()?.join_tokens(page.paging()?, self.now()).await?))
    }

    /// Makes a join token.
    ///
    /// # Errors
    /// NOT_FOUND: no such account. INVALID_ARGUMENT.
    pub async fn add_join_token(
        &self,
        caller: &Caller,
        new: NewJoinToken,
    ) -> Result<MintedToken, Failure> {
        if new.uses == 0 || new.uses > MAX_USES {
            return Err(fail!(InvalidArgument, "a join token is for 1 to {MAX_USES} peers"));
        }
        let account = self.account_named(caller, &new.account).await?;
        let secret = fresh("peral_join");
        let token = self.token(&secret, new.label, account, Some(new.uses), new.ends_ms, DAY_MS)?;
        let token = self.store()?.add_join_token(token).await?;
        tracing::info!(token = %token.id, account = token.account, uses = new.uses, by = %caller.identity(), "made a join token");
        Ok(MintedToken { token, secret })
    }

    /// Ends a join token; peers that joined by it stay.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn remove_join_token(&self, caller: &Caller, id: TokenId) -> Result<(), Failure> {
        if !self.store()?.remove_join_token(id).await? {
            return Err(fail!(NotFound, "there is no join token {id}"));
        }
        tracing::info!(token = %id, by = %caller.identity(), "ended a join token");
        Ok(())
    }
}

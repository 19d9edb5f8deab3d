//! API tokens and join tokens: random texts, stored by their hash.

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
use crate::store::tokens::NewToken;

const DAY_MS: i64 = 24 * 3_600_000;
/// Default life of an API token, in milliseconds.
const API_MS: i64 = 90 * DAY_MS;
/// Maximum life of a token, in milliseconds.
const LONGEST_MS: i64 = 366 * DAY_MS;
/// Maximum number of peers that can join with one token.
const MAX_USES: u32 = 100_000;

/// The hash by which a token is stored. Tokens are random, so that neither salt nor a slow hash is
/// needed.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}

fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

impl App {
    /// API tokens: the caller's own, or all for administrators.
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

    /// Creates an API token.
    ///
    /// # Errors
    /// FORBIDDEN: a member asked for another account. NOT_FOUND: the account does not exist.
    pub async fn create_api_token(
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
        let token = self.store()?.create_api_token(token).await?;
        tracing::info!(
            token = %token.id,
            account = token.account,
            by = %caller.identity(),
            "created an API token"
        );
        Ok(MintedToken { token, secret })
    }

    async fn account_named(&self, caller: &Caller, name: &str) -> Result<AccountId, Failure> {
        let known = self.store()?.secret(name).await?.map(|known| known.account.id);
        match known {
            Some(id) if id == caller.account || caller.role == Role::Admin => Ok(id),
            _ if caller.role != Role::Admin => {
                Err(fail!(Forbidden, "only administrators can create tokens for other accounts"))
            }
            _ => Err(fail!(NotFound, "account {name:?} does not exist")),
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
            return Err(fail!(
                InvalidArgument,
                "a token must expire in the future, and within 366 days"
            ));
        }
        Ok(NewToken { hash: hash(secret), label, account, uses, ends_ms, now_ms })
    }

    /// Revokes an API token and ends the sessions that were begun with it.
    ///
    /// # Errors
    /// NOT_FOUND: it does not exist, or belongs to another account.
    pub async fn revoke_api_token(&self, caller: &Caller, id: TokenId) -> Result<(), Failure> {
        caller.session()?;
        let whose = (caller.role != Role::Admin).then_some(caller.account);
        if !self.store()?.revoke_api_token(id, whose, self.now()).await? {
            return Err(fail!(NotFound, "API token {id} does not exist"));
        }
        self.live.forget_all();
        tracing::info!(token = %id, by = %caller.identity(), "revoked an API token");
        Ok(())
    }

    /// All join tokens.
    pub async fn join_tokens(&self, page: &PageQuery) -> Result<Page<Token>, Failure> {
        Ok(listing::seal(self.store()?.join_tokens(page.paging()?, self.now()).await?))
    }

    /// Creates a join token.
    ///
    /// # Errors
    /// NOT_FOUND: the account does not exist. INVALID_ARGUMENT.
    pub async fn create_join_token(
        &self,
        caller: &Caller,
        new: NewJoinToken,
    ) -> Result<MintedToken, Failure> {
        if new.uses == 0 || new.uses > MAX_USES {
            return Err(fail!(InvalidArgument, "a join token must be for 1 to {MAX_USES} peers"));
        }
        let account = self.account_named(caller, &new.account).await?;
        let secret = fresh("peral_join");
        let token = self.token(&secret, new.label, account, Some(new.uses), new.ends_ms, DAY_MS)?;
        let token = self.store()?.create_join_token(token).await?;
        tracing::info!(
            token = %token.id,
            account = token.account,
            uses = new.uses,
            by = %caller.identity(),
            "created a join token"
        );
        Ok(MintedToken { token, secret })
    }

    /// Revokes a join token; peers that joined with it stay registered.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn revoke_join_token(&self, caller: &Caller, id: TokenId) -> Result<(), Failure> {
        if !self.store()?.revoke_join_token(id).await? {
            return Err(fail!(NotFound, "join token {id} does not exist"));
        }
        tracing::info!(token = %id, by = %caller.identity(), "revoked a join token");
        Ok(())
    }
}

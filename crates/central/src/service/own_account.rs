//! What callers do with their own account.

use std::net::IpAddr;

use peral_model::SessionId;
use peral_wire::{
    Failure, fail,
    rest::{
        Page,
        accounts::{Role, Session},
        sessions::{PasswordChange, WhoAmI},
    },
};
use secrecy::SecretString;

use super::{app::App, caller::Caller, check::unknown_identity};
use crate::{password, store::accounts};

impl App {
    /// Who the caller is.
    ///
    /// # Errors
    /// UNAUTHENTICATED: the account no longer exists.
    pub async fn who_am_i(&self, caller: &Caller) -> Result<WhoAmI, Failure> {
        let store = self.store()?;
        let account = store.account(caller.account).await?.ok_or_else(unknown_identity)?;
        let role = if caller.peer().is_ok() { Role::Member } else { account.role };
        let groups = store.groups_of(account.id).await?;
        Ok(WhoAmI {
            account: account.id,
            name: account.name,
            role,
            identity: caller.identity(),
            groups,
        })
    }

    /// Changes the caller's password and ends its other sessions.
    ///
    /// # Errors
    /// FORBIDDEN: the current one is wrong. WEAK_PASSWORD. RATE_LIMITED.
    pub async fn change_password(
        &self,
        caller: &Caller,
        remote: IpAddr,
        change: PasswordChange,
    ) -> Result<(), Failure> {
        let keep = Some(caller.session()?);
        let store = self.store()?;
        let account = store.account(caller.account).await?.ok_or_else(unknown_identity)?;
        self.attempts.password(&account.name, remote)?;
        let expected = store.secret(&account.name).await?.and_then(|known| known.password);
        let wrong = || fail!(Forbidden, "the current password is wrong");
        let expected = expected.ok_or_else(|| {
            fail!(
                Forbidden,
                "this account has no password; ask an administrator to set the first one"
            )
        })?;
        if !self
            .passwords
            .check(&SecretString::from(change.current), Some(expected.clone()))
            .await?
        {
            return Err(wrong());
        }
        let new = SecretString::from(change.new);
        password::good_enough(&new, &account.name)?;
        let new = self.passwords.hash(&new).await?;
        if !store
            .change_password(
                account.id,
                accounts::PasswordChange { expected, new, keep },
                self.now(),
            )
            .await?
        {
            return Err(wrong());
        }
        self.live.forget_all();
        tracing::info!(account = account.name, "changed a password");
        Ok(())
    }

    /// The caller's sessions.
    ///
    /// # Errors
    /// FORBIDDEN for a peer.
    pub async fn sessions(&self, caller: &Caller) -> Result<Page<Session>, Failure> {
        let current = caller.session()?;
        let sessions = self.store()?.sessions(caller.account, self.now()).await?;
        let mark = |session: Session| Session { current: session.id == current, ..session };
        Ok(Page { items: sessions.into_iter().map(mark).collect(), next: None })
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<(), Failure> {
        caller.session()?;
        if !self.store()?.end_session(id, Some(caller.account), self.now()).await? {
            return Err(fail!(NotFound, "session {id} does not exist"));
        }
        self.live.forget_session(id).await;
        tracing::info!(session = %id, "ended a session");
        Ok(())
    }
}

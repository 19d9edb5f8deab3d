//! Administration of accounts and groups.

use peral_model::{AccountId, GroupId};
use peral_wire::{
    Failure, fail,
    rest::{
        Page,
        accounts::{Account, AccountChange, Group, NewAccount, NewGroup, Role},
    },
};
use secrecy::SecretString;

use super::{app::App, caller::Caller, check::account_name, listing, listing::PageQuery};
use crate::{password, store::accounts as kept};

impl App {
    /// All accounts.
    pub async fn accounts(&self, page: &PageQuery) -> Result<Page<Account>, Failure> {
        Ok(listing::seal(self.store()?.accounts(page.paging()?).await?))
    }

    /// Creates an account.
    ///
    /// # Errors
    /// ALREADY_EXISTS, WEAK_PASSWORD, INVALID_ARGUMENT.
    pub async fn create_account(
        &self,
        caller: &Caller,
        new: NewAccount,
    ) -> Result<Account, Failure> {
        account_name(&new.name)?;
        let password = self.new_password(new.password, &new.name).await?;
        let account =
            kept::NewAccount { name: new.name, role: new.role, password, now_ms: self.now() };
        let account = self.store()?.create_account(account).await?;
        tracing::info!(
            account = account.name,
            role = ?account.role,
            by = %caller.identity(),
            "created an account"
        );
        Ok(account)
    }

    /// Creates the first administrator; gives nothing if there is one already.
    ///
    /// # Errors
    /// ALREADY_EXISTS: a member has this name. WEAK_PASSWORD, INVALID_ARGUMENT.
    pub async fn create_first_administrator(
        &self,
        name: &str,
        password: &SecretString,
    ) -> Result<Option<Account>, Failure> {
        account_name(name)?;
        password::good_enough(password, name)?;
        let password = Some(self.passwords.hash(password).await?);
        let account =
            kept::NewAccount { name: name.into(), role: Role::Admin, password, now_ms: self.now() };
        let made = self.store()?.create_first_administrator(account).await?;
        if let Some(account) = &made {
            tracing::info!(account = account.name, "created the first administrator");
        }
        Ok(made)
    }

    async fn new_password(
        &self,
        password: Option<String>,
        account: &str,
    ) -> Result<Option<String>, Failure> {
        let Some(password) = password.map(SecretString::from) else { return Ok(None) };
        password::good_enough(&password, account)?;
        self.passwords.hash(&password).await.map(Some)
    }

    /// Changes an account. Disabling it ends its sessions, tokens and registered peers.
    ///
    /// # Errors
    /// NOT_FOUND. ALREADY_EXISTS: it is the last administrator.
    pub async fn change_account(
        &self,
        caller: &Caller,
        id: AccountId,
        change: AccountChange,
    ) -> Result<Account, Failure> {
        let absent = || fail!(NotFound, "account {id} does not exist");
        let known = self.store()?.account(id).await?.ok_or_else(absent)?;
        let password = self.new_password(change.password, &known.name).await?;
        let changed =
            kept::AccountChange { role: change.role, disabled: change.disabled, password };
        let account =
            self.store()?.change_account(id, changed, self.now()).await?.ok_or_else(absent)?;
        self.live.forget_all();
        tracing::info!(
            account = account.name,
            role = ?account.role,
            disabled = account.disabled,
            by = %caller.identity(),
            "changed an account"
        );
        Ok(account)
    }

    /// All groups.
    pub async fn groups(&self, page: &PageQuery) -> Result<Page<Group>, Failure> {
        Ok(listing::seal(self.store()?.groups(page.paging()?).await?))
    }

    /// Creates a group.
    ///
    /// # Errors
    /// ALREADY_EXISTS, INVALID_ARGUMENT.
    pub async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group, Failure> {
        account_name(&new.name)?;
        let group = self.store()?.create_group(&new.name).await?;
        tracing::info!(group = group.name, by = %caller.identity(), "created a group");
        Ok(group)
    }

    /// Deletes a group and removes it from all access lists.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn delete_group(&self, caller: &Caller, id: GroupId) -> Result<(), Failure> {
        if !self.store()?.delete_group(id).await? {
            return Err(fail!(NotFound, "group {id} does not exist"));
        }
        tracing::info!(group = %id, by = %caller.identity(), "deleted a group");
        Ok(())
    }

    /// Adds an account to a group, or removes it.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn set_member(
        &self,
        caller: &Caller,
        group: GroupId,
        account: AccountId,
        inside: bool,
    ) -> Result<(), Failure> {
        let store = self.store()?;
        let done = if inside {
            store.add_member(group, account).await?
        } else {
            store.remove_member(group, account).await?
        };
        if !done {
            return Err(fail!(
                NotFound,
                "the group or the account does not exist, or the account is not in the group"
            ));
        }
        tracing::info!(
            %group,
            %account,
            inside,
            by = %caller.identity(),
            "changed the members of a group"
        );
        Ok(())
    }
}

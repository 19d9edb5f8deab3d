//! `peral user`

use clap::{Args, Subcommand, ValueEnum};
use peral_wire::{
    Catalogue, Failure, fail,
    rest::accounts::{Account, AccountChange, NewAccount, Role},
};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, Table, escape, instant},
    secret::PasswordArgs,
};

/// Manage accounts (administrators).
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create an account.
    Add(AddAccountArgs),
    /// List the accounts.
    Ls,
    /// Disable an account; its sessions, tokens and peers lose access.
    Disable(AccountArgs),
    /// Enable an account again.
    Enable(AccountArgs),
    /// Change the role of an account.
    Role(RoleArgs),
    /// Set the password of an account; its sessions end.
    Password(SetPasswordArgs),
}

#[derive(Debug, Args)]
pub struct AddAccountArgs {
    /// Name of the account: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or a digit.
    name: String,
    /// Make it an administrator.
    #[arg(long)]
    admin: bool,
    /// Give it no password: it can log in only with an API token, or is the account of peers.
    #[arg(long, conflicts_with = "password-source")]
    no_password: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, Args)]
pub struct AccountArgs {
    /// Name of the account.
    name: String,
}

#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Name of the account.
    name: String,
    /// Its new role.
    role: RoleName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    /// Uses the network.
    Member,
    /// Also manages accounts, peers and all files.
    Admin,
}

#[derive(Debug, Args)]
pub struct SetPasswordArgs {
    /// Name of the account.
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Serialize)]
pub struct UserResult {
    pub account: Account,
    #[serde(skip)]
    pub created: bool,
}

#[derive(Serialize)]
pub struct UsersResult {
    pub items: Vec<Account>,
}

impl UserCommand {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        let (name, change) = match self {
            Self::Add(args) => return args.run(context, catalogue).await,
            Self::Ls => {
                let items = catalogue.accounts().await?.items;
                return context.out.result(&UsersResult { items });
            }
            Self::Disable(args) => (args.name, disabled(true)),
            Self::Enable(args) => (args.name, disabled(false)),
            Self::Role(args) => {
                let role = Some(args.role.into());
                (args.name, AccountChange { role, ..AccountChange::default() })
            }
            Self::Password(args) => {
                let prompt = format!("New password of {}", escape(&args.name));
                let password = args.password.new_one(&prompt)?.expose_secret().to_owned();
                let password = Some(password);
                (args.name, AccountChange { password, ..AccountChange::default() })
            }
        };
        let account = find(catalogue, &name).await?;
        let account = catalogue.change_account(account.id, &change).await?;
        context.out.result(&UserResult { account, created: false })
    }
}

fn disabled(disabled: bool) -> AccountChange {
    AccountChange { disabled: Some(disabled), ..AccountChange::default() }
}

impl AddAccountArgs {
    async fn run(self, context: &Context, catalogue: &Catalogue) -> Result<(), Failure> {
        let password = if self.no_password {
            None
        } else {
            let prompt = format!("Password of {}", escape(&self.name));
            Some(self.password.new_one(&prompt)?.expose_secret().to_owned())
        };
        let role = if self.admin { Role::Admin } else { Role::Member };
        let account =
            catalogue.add_account(&NewAccount { name: self.name, role, password }).await?;
        context.out.result(&UserResult { account, created: true })
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// The account of this name.
///
/// # Errors
/// NOT_FOUND.
pub async fn find(catalogue: &Catalogue, name: &str) -> Result<Account, Failure> {
    let accounts = catalogue.accounts().await?.items;
    accounts
        .into_iter()
        .find(|account| account.name == name)
        .ok_or_else(|| fail!(NotFound, "there is no account {name:?}; `peral user ls` lists them"))
}

/// A role as people see it.
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
    }
}

fn state_word(account: &Account) -> &'static str {
    if account.disabled { "disabled" } else { "enabled" }
}

impl CommandResult for UserResult {
    const SCHEMA: &'static str = "peral.user/1";

    fn text(&self, _: &Output) -> String {
        let name = escape(&self.account.name);
        if self.created {
            return format!("Created the account {name}.\n");
        }
        let (role, state) = (role_word(self.account.role), state_word(&self.account));
        format!("Changed the account {name}: {role}, {state}.\n")
    }
}

impl CommandResult for UsersResult {
    const SCHEMA: &'static str = "peral.users/1";

    fn text(&self, out: &Output) -> String {
        let mut table = Table::new(&["NAME", "ROLE", "STATE", "CREATED", "ID"]);
        for account in &self.items {
            table.row([
                &account.name,
                role_word(account.role),
                state_word(account),
                &instant(account.created_ms),
                &account.id.to_string(),
            ]);
        }
        out.table(&table, "no accounts")
    }
}

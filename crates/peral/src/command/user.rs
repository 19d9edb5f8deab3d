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
    output::{Items, Table, instant, shown},
    secret::PasswordArgs,
};

/// Manage accounts (administrators).
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account.
    Add(AddArgs),
    /// List the accounts.
    Ls,
    /// Disable an account: its sessions, tokens and peers end.
    Disable(NameArgs),
    /// Enable an account again.
    Enable(NameArgs),
    /// Change an account's role.
    Role(RoleArgs),
    /// Set an account's password; its sessions end.
    Password(SetPasswordArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit.
    name: String,
    /// Make it an administrator.
    #[arg(long)]
    admin: bool,
    /// Without a password: it logs in by API token only, or is the account of peers.
    #[arg(long, conflicts_with = "password-source")]
    no_password: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, Args)]
pub struct NameArgs {
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
struct One<'a> {
    account: &'a Account,
}

impl UserCommand {
    /// Talks to central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        match self {
            Self::Add(args) => add(context, catalogue, &args).await,
            Self::Ls => list(context, catalogue).await,
            Self::Disable(args) => change(context, catalogue, &args.name, disabled(true)).await,
            Self::Enable(args) => change(context, catalogue, &args.name, disabled(false)).await,
            Self::Role(args) => {
                change(
                    context,
                    catalogue,
                    &args.name,
                    AccountChange { role: Some(args.role.into()), ..AccountChange::default() },
                )
                .await
            }
            Self::Password(args) => {
                let password =
                    args.password.new_one(&format!("New password of {}", shown(&args.name)))?;
                let password = Some(password.expose_secret().to_owned());
                change(
                    context,
                    catalogue,
                    &args.name,
                    AccountChange { password, ..AccountChange::default() },
                )
                .await
            }
        }
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

fn disabled(disabled: bool) -> AccountChange {
    AccountChange { disabled: Some(disabled), ..AccountChange::default() }
}

async fn add(context: &Context, catalogue: &Catalogue, args: &AddArgs) -> Result<(), Failure> {
    let password = match args.no_password {
        true => None,
        false => Some(
            args.password
                .new_one(&format!("Password of {}", shown(&args.name)))?
                .expose_secret()
                .to_owned(),
        ),
    };
    let role = if args.admin { Role::Admin } else { Role::Member };
    let account =
        catalogue.add_account(&NewAccount { name: args.name.clone(), role, password }).await?;
    context.out.result("peral.user/1", &One { account: &account }, |said| {
        format!("Made the account {}.\n", shown(&said.account.name))
    })
}

async fn list(context: &Context, catalogue: &Catalogue) -> Result<(), Failure> {
    let said = Items { items: catalogue.accounts().await?.items };
    context.out.result("peral.users/1", &said, |said| {
        let mut table = Table::new(&["NAME", "ROLE", "STATE", "MADE", "ID"]);
        for account in &said.items {
            let state = if account.disabled { "disabled" } else { "enabled" };
            table.row([
                &account.name,
                word(account.role),
                state,
                &instant(account.created_ms),
                &account.id.to_string(),
            ]);
        }
        context.out.table(&table, "no accounts")
    })
}

async fn change(
    context: &Context,
    catalogue: &Catalogue,
    name: &str,
    change: AccountChange,
) -> Result<(), Failure> {
    let account = find(catalogue, name).await?;
    let account = catalogue.change_account(account.id, &change).await?;
    context.out.result("peral.user/1", &One { account: &account }, |said| {
        let state = if said.account.disabled { "disabled" } else { "enabled" };
        format!(
            "Changed the account {}: {}, {state}.\n",
            shown(&said.account.name),
            word(said.account.role)
        )
    })
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
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

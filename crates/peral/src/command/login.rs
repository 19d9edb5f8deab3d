//! `peral login`

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use peral_wire::{
    Failure, fail,
    rest::{accounts::Role, sessions::Credential},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{
    central::{self, FirstContactArgs},
    context::Context,
    logins::Login,
    output::{instant, machine, shown},
    secret::{self, PasswordArgs},
    session::log_in,
};

/// Log in to a network, and stay so until `peral logout`.
///
/// At first contact central's authority must be known: by --ca-file, by --ca-fingerprint, by a
/// certificate of a public authority, or by your word on a terminal. Where a peer runs, its network
/// is known already.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Name of your account; asked for on a terminal.
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    account: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// File with an API token, in place of a name and a password.
    #[arg(long, value_name = "FILE", conflicts_with = "password-source")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    first_contact: FirstContactArgs,
    /// What to call this session in listings [default: the name of this machine]
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

#[derive(Serialize)]
struct LoggedIn<'a> {
    central: &'a str,
    account: &'a str,
    role: Role,
    identity: String,
    session_ends_ms: i64,
}

impl LoginArgs {
    /// Logs in and keeps the login.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let first = if self.first_contact.is_empty() {
            &context.first_contact
        } else {
            &self.first_contact
        };
        let contact = context.contact_central(first).await?;
        let login =
            log_in(contact, self.credential()?, self.label.clone().unwrap_or_else(machine)).await?;
        end_older(context, &login).await;
        context.logins.save(&login)?;
        let said = LoggedIn {
            central: &login.central,
            account: &login.name,
            role: login.role,
            identity: login.identity().to_string(),
            session_ends_ms: login.session_ends_ms,
        };
        context.out.result("peral.login/1", &said, |said| {
            let role = if said.role == Role::Admin { ", an administrator" } else { "" };
            format!(
                "Logged in to {} as {}{role}, until {}.\n",
                shown(said.central),
                shown(said.account),
                instant(said.session_ends_ms)
            )
        })
    }

    fn credential(&self) -> Result<Credential, Failure> {
        let open = |secret: SecretString| secret.expose_secret().to_owned();
        if let Some(path) = &self.token_file {
            return Ok(Credential::ApiToken { token: open(secret::file(path)?) });
        }
        let account = match &self.account {
            Some(account) => account.clone(),
            None => ask_account()?,
        };
        let password = open(self.password.current(&format!("Password of {}", shown(&account)))?);
        Ok(Credential::Password { account, password })
    }
}

/// The session that this login takes the place of would be nobody's: it is ended, if central still
/// knows it.
async fn end_older(context: &Context, login: &Login) {
    let older = context
        .logins
        .all()
        .unwrap_or_default()
        .into_iter()
        .find(|older| older.network.id == login.network.id);
    let Some(older) = older else { return };
    if let Ok(catalogue) = central::catalogue(&login.central, &login.network)
        && let Err(failure) =
            catalogue.with_token(&login.credentials.token).end_session(older.session).await
    {
        // Another account's session cannot be ended by this one; its own token may still do.
        drop(catalogue.with_token(&older.credentials.token).logout().await);
        tracing::debug!(%failure, "the older session");
    }
}

fn ask_account() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(fail!(
            InvalidArgument,
            "say who logs in: --account NAME, or --token-file FILE"
        ));
    }
    let asked = (|| {
        write!(io::stderr(), "Account: ")?;
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line.trim().to_owned())
    })();
    asked
        .map_err(|error: io::Error| fail!(InvalidArgument, "the terminal cannot be asked: {error}"))
}

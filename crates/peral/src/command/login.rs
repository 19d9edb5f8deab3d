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
    logins::StoredLogin,
    output::{CommandResult, Output, escape, instant, machine},
    secret::{self, PasswordArgs},
    session::log_in,
};

/// Log in to a network and stay logged in until `peral logout`.
///
/// The first login must recognise central: by --ca-file, by --ca-fingerprint, by a certificate of a
/// public authority, or by your confirmation on a terminal. Next to a running peer, the peer's own
/// network is known already.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Name of your account [default: asks on the terminal]
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    account: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// File with an API token, instead of an account and a password.
    #[arg(long, value_name = "FILE", conflicts_with = "password-source")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    first_contact: FirstContactArgs,
    /// Label of this session in listings [default: the name of this machine]
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

#[derive(Serialize)]
pub struct LoginResult {
    pub central: String,
    pub account: String,
    pub role: Role,
    pub identity: String,
    pub session_ends_ms: i64,
}

impl LoginArgs {
    /// Logs in and stores the login.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let first = if self.first_contact.is_empty() {
            &context.first_contact
        } else {
            &self.first_contact
        };
        let contact = context.contact_central(first).await?;
        let label = self.label.clone().unwrap_or_else(machine);
        let login = log_in(contact, self.credential()?, label).await?;
        end_older_session(context, &login).await;
        context.logins.save(&login)?;
        context.out.result(&LoginResult {
            identity: login.identity().to_string(),
            central: login.central,
            account: login.name,
            role: login.role,
            session_ends_ms: login.session_ends_ms,
        })
    }

    fn credential(&self) -> Result<Credential, Failure> {
        let expose = |secret: SecretString| secret.expose_secret().to_owned();
        if let Some(path) = &self.token_file {
            return Ok(Credential::ApiToken { token: expose(secret::file(path)?) });
        }
        let account = match &self.account {
            Some(account) => account.clone(),
            None => ask_account()?,
        };
        let prompt = format!("Password of {}", escape(&account));
        let password = expose(self.password.current(&prompt)?);
        Ok(Credential::Password { account, password })
    }
}

/// Ends the session of the stored login that this login replaces: nobody could use it any more.
async fn end_older_session(context: &Context, login: &StoredLogin) {
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
        // This login cannot end another account's session, but that session's own token may.
        drop(catalogue.with_token(&older.credentials.token).logout().await);
        tracing::debug!(%failure, "could not end the older session with this login");
    }
}

fn ask_account() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(fail!(
            InvalidArgument,
            "there is no terminal to ask for the account: pass --account NAME or --token-file FILE"
        ));
    }
    let asked = (|| {
        write!(io::stderr(), "Account: ")?;
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line.trim().to_owned())
    })();
    asked.map_err(|error: io::Error| {
        fail!(InvalidArgument, "could not ask for the account on the terminal: {error}")
    })
}

impl CommandResult for LoginResult {
    const SCHEMA: &'static str = "peral.login/1";

    fn text(&self, _: &Output) -> String {
        let role = if self.role == Role::Admin { ", an administrator" } else { "" };
        format!(
            "Logged in to {} as {}{role}, until {}.\n",
            escape(&self.central),
            escape(&self.account),
            instant(self.session_ends_ms)
        )
    }
}

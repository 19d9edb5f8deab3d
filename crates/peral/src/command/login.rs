//! `peral login`

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use peral_runtime::tls;
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::{
        accounts::Role,
        sessions::{Credential, LoginRequest},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{
    central::{self, Contact, FirstContact},
    context::Context,
    control::Control,
    logins::Login,
    output::{instant, shown},
    secret::{self, PasswordArgs},
    session::csr,
};

/// Log in to a network, and stay so until `peral logout`.
///
/// At first contact central's authority must be known: by --ca-file, by --ca-fingerprint, by a certificate of a public authority, or by
/// your word on a terminal. Where a peer runs, its network is known already.
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
    first_contact: FirstContact,
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
        let contact = self.meet(context).await?;
        let credential = self.credential()?;
        let login = self.begin(contact, credential).await?;
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
            format!("Logged in to {} as {}{role}, until {}.\n", shown(said.central), shown(said.account), instant(said.session_ends_ms))
        })
    }

    /// Central: the one that was named, the one logged in to before, or that of the peer here.
    async fn meet(&self, context: &Context) -> Result<Contact, Failure> {
        let named = context.central.as_deref().map(central::address).transpose()?;
        if !self.first_contact.is_empty() {
            return self.first_contact.meet(&named.ok_or_else(unnamed)?).await;
        }
        let before = context.logins.all().unwrap_or_default().into_iter().find(|login| Some(&login.central) == named.as_ref());
        if let Some(Login { central: base, network, .. }) = before {
            let catalogue = central::catalogue(&base, &network)?;
            return Ok(Contact { base, network, catalogue });
        }
        if let Some(mut control) = Control::find(&context.data).await {
            let session = control.session().await?;
            let of_peer = central::address(&session.central)?;
            if named.as_ref().is_none_or(|named| *named == of_peer) {
                return central::known(&of_peer, session.authority).await;
            }
        }
        self.first_contact.meet(&named.ok_or_else(unnamed)?).await
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

    async fn begin(&self, contact: Contact, credential: Credential) -> Result<Login, Failure> {
        let key = tls::new_key();
        let label = self.label.clone().unwrap_or_else(machine);
        let request = LoginRequest { credential, csr: csr(&key)?, label };
        let nonce = contact.catalogue.nonce().await?;
        let proof = Proven::sign(&request, contact.network.id, nonce.nonce, &key.0)?;
        let answer = contact.catalogue.login(&proof).await?;
        Ok(Login {
            central: contact.base,
            network: contact.network,
            session: answer.session,
            account: answer.account,
            name: answer.name,
            role: answer.role,
            session_ends_ms: answer.session_ends_ms,
            key: key.to_pem().map_err(|error| fail!(Internal, "{error}"))?,
            credentials: answer.credentials,
        })
    }
}

/// The session that this login takes the place of would be nobody's: it is ended, if central still knows it.
async fn end_older(context: &Context, login: &Login) {
    let older = context.logins.all().unwrap_or_default().into_iter().find(|older| older.network.id == login.network.id);
    let Some(older) = older else { return };
    if let Ok(catalogue) = central::catalogue(&login.central, &login.network)
        && let Err(failure) = catalogue.with_token(&login.credentials.token).end_session(older.session).await
    {
        // Another account's session cannot be ended by this one; its own token may still do.
        drop(catalogue.with_token(&older.credentials.token).logout().await);
        tracing::debug!(%failure, "the older session");
    }
}

fn unnamed() -> Failure {
    fail!(InvalidArgument, "say which central: --central https://HOST:7070 (or PERAL_CENTRAL, or in peral.toml)")
}

fn ask_account() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(fail!(InvalidArgument, "say who logs in: --account NAME, or --token-file FILE"));
    }
    let asked = (|| {
        write!(io::stderr(), "Account: ")?;
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line.trim().to_owned())
    })();
    asked.map_err(|error: io::Error| fail!(InvalidArgument, "the terminal cannot be asked: {error}"))
}

fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().take(100).collect()
}

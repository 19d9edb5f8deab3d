//! `peral logout`

use clap::Args;
use peral_model::SessionId;
use peral_wire::{ErrorCode, Failure, fail};
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, escape},
};

/// End the session and delete the login from this machine.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// End another of your sessions (`peral whoami --sessions` lists them) and stay logged in here.
    #[arg(long, value_name = "ID", conflicts_with = "forget")]
    session: Option<String>,
    /// Delete the login even if central cannot be reached; the session then lasts until it expires.
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
pub struct LogoutResult {
    pub central: String,
    pub account: String,
    /// Central has ended the session.
    pub ended: bool,
    /// It was another session than this login's.
    #[serde(skip)]
    pub other: bool,
}

impl LogoutArgs {
    /// Ends the session.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(id) = &self.session {
            return end_other(context, id).await;
        }
        let login =
            context.login()?.ok_or_else(|| fail!(Unauthenticated, "you are not logged in"))?;
        let answer =
            async { context.open_login(login.clone()).await?.catalogue.logout().await }.await;
        let ended = match answer {
            Ok(_) => true,
            // It has ended already: disabled, expired, or ended from elsewhere.
            Err(failure) if failure.code == ErrorCode::Unauthenticated => true,
            Err(_) if self.forget => false,
            Err(failure) => return Err(failure),
        };
        context.logins.remove(login.network.id)?;
        context.out.result(&LogoutResult {
            central: login.central,
            account: login.name,
            ended,
            other: false,
        })
    }
}

async fn end_other(context: &Context, id: &str) -> Result<(), Failure> {
    let session: SessionId = id.parse().map_err(|error| fail!(InvalidArgument, "{error}"))?;
    let user = context.user_session().await?;
    user.catalogue.end_session(session).await?;
    context.out.result(&LogoutResult {
        central: user.login.central,
        account: user.login.name,
        ended: true,
        other: true,
    })
}

impl CommandResult for LogoutResult {
    const SCHEMA: &'static str = "peral.logout/1";

    fn text(&self, _: &Output) -> String {
        let (account, central) = (escape(&self.account), escape(&self.central));
        match self {
            Self { other: true, .. } => format!("Ended a session of {account}.\n"),
            Self { ended: true, .. } => format!("Logged out {account} from {central}.\n"),
            _ => format!(
                "Logged out {account} from {central}. Central was not reached: the session lasts \
                 until it expires.\n"
            ),
        }
    }
}

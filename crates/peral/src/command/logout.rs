//! `peral logout`

use clap::Args;
use peral_model::SessionId;
use peral_wire::{ErrorCode, Failure, fail};
use serde::Serialize;

use crate::{context::Context, output::shown};

/// End the session and forget the login.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// End another of your sessions (`peral whoami --sessions` lists them) and stay logged in here.
    #[arg(long, value_name = "ID", conflicts_with = "forget")]
    session: Option<String>,
    /// Forget the login here even if central cannot be told; its session then lasts until it ends
    /// by itself.
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct LoggedOut {
    central: String,
    account: String,
    /// Central knows that the session is over.
    ended: bool,
}

impl LogoutArgs {
    /// Ends the session.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(text) = &self.session {
            return end(context, text).await;
        }
        let login =
            context.login()?.ok_or_else(|| fail!(Unauthenticated, "you are not logged in"))?;
        let told =
            async { context.open_login(login.clone()).await?.catalogue.logout().await }.await;
        let ended = match told {
            Ok(_) => true,
            // Over already: disabled, expired, or ended from elsewhere.
            Err(failure) if failure.code == ErrorCode::Unauthenticated => true,
            Err(_) if self.forget => false,
            Err(failure) => return Err(failure),
        };
        context.logins.remove(login.network.id)?;
        let said = LoggedOut { central: login.central, account: login.name, ended };
        context.out.result("peral.logout/1", &said, |said| {
            let doubt = if said.ended {
                ""
            } else {
                " Central was not told: the session lasts until it ends by itself."
            };
            format!("Logged out {} from {}.{doubt}\n", shown(&said.account), shown(&said.central))
        })
    }
}

async fn end(context: &Context, text: &str) -> Result<(), Failure> {
    let session: SessionId = text.parse().map_err(|error| fail!(InvalidArgument, "{error}"))?;
    let user = context.user_session().await?;
    user.catalogue.end_session(session).await?;
    let said = LoggedOut { central: user.login.central, account: user.login.name, ended: true };
    context.out.result("peral.logout/1", &said, |said| {
        format!("Ended a session of {}.\n", shown(&said.account))
    })
}

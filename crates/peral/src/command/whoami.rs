//! `peral whoami`

use clap::Args;
use peral_wire::{Failure, rest::sessions::WhoAmI};
use serde::Serialize;

use crate::{
    context::Context,
    output::{Items, Table, age, instant, shown},
    session::Session,
};

/// Show which account commands act for, and by what.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// List the sessions of the account.
    #[arg(long)]
    sessions: bool,
}

#[derive(Serialize)]
struct Who {
    /// `login`, `token` or `peer`.
    by: &'static str,
    central: String,
    #[serde(flatten)]
    who: WhoAmI,
}

impl WhoamiArgs {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        if self.sessions {
            return sessions(context, &session).await;
        }
        let who = session.catalogue().whoami().await?;
        let by = match session {
            Session::User(_) if context.token.is_some() => "token",
            Session::User(_) => "login",
            Session::Peer(_) => "peer",
        };
        let said = Who { by, central: session.catalogue().base().to_owned(), who };
        context.out.result("peral.whoami/1", &said, |said| {
            let by = match said.by {
                "login" => "you are logged in",
                "token" => "the API token of this command",
                _ => "nobody is logged in: the account of the peer that runs here",
            };
            let groups =
                if said.who.groups.is_empty() { "none".into() } else { said.who.groups.join(", ") };
            let role = format!("{:?}", said.who.role).to_lowercase();
            let lines = [
                ("account", said.who.name.as_str()),
                ("role", role.as_str()),
                ("groups", groups.as_str()),
                ("central", said.central.as_str()),
                ("identity", &said.who.identity.to_string()),
                ("by", by),
            ];
            lines.iter().map(|(key, value)| format!("{key:<9} {}\n", shown(value))).collect()
        })
    }
}

async fn sessions(context: &Context, session: &Session) -> Result<(), Failure> {
    let said = Items { items: session.catalogue().sessions().await?.items };
    context.out.result("peral.sessions/1", &said, |said| {
        let mut table = Table::new(&["ID", "LABEL", "BEGAN", "ENDS", ""]);
        for item in &said.items {
            let began = age(item.created_ms, context.out.now_ms());
            table.row([
                &item.id.to_string(),
                &item.label,
                &began,
                &instant(item.ends_ms),
                if item.current { "this one" } else { "" },
            ]);
        }
        context.out.table(&table, "no sessions")
    })
}

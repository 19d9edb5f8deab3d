//! `peral whoami`

use clap::Args;
use peral_wire::{
    Failure,
    rest::{accounts, sessions::WhoAmI},
};
use serde::Serialize;

use super::user::role_word;
use crate::{
    context::Context,
    output::{CommandResult, Output, Table, age, escape, instant},
    session::AnySession,
};

/// Show the account that commands use, and why.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// List the sessions of the account.
    #[arg(long)]
    sessions: bool,
}

#[derive(Serialize)]
pub struct WhoamiResult {
    pub by: AccountSource,
    pub central: String,
    #[serde(flatten)]
    pub who: WhoAmI,
}

/// Why commands use the account.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountSource {
    Login,
    Token,
    Peer,
}

#[derive(Serialize)]
pub struct SessionsResult {
    pub items: Vec<accounts::Session>,
}

impl WhoamiArgs {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        let catalogue = session.catalogue();
        if self.sessions {
            let items = catalogue.sessions().await?.items;
            return context.out.result(&SessionsResult { items });
        }
        let who = catalogue.whoami().await?;
        let by = match session {
            AnySession::User(_) if context.token.is_some() => AccountSource::Token,
            AnySession::User(_) => AccountSource::Login,
            AnySession::Peer(_) => AccountSource::Peer,
        };
        context.out.result(&WhoamiResult { by, central: catalogue.base().to_owned(), who })
    }
}

impl CommandResult for WhoamiResult {
    const SCHEMA: &'static str = "peral.whoami/1";

    fn text(&self, _: &Output) -> String {
        let by = match self.by {
            AccountSource::Login => "you are logged in",
            AccountSource::Token => "the API token of this command",
            AccountSource::Peer => "nobody is logged in: commands use the local peer's account",
        };
        let groups = match self.who.groups.as_slice() {
            [] => "none".to_owned(),
            groups => groups.join(", "),
        };
        let lines = [
            ("account", self.who.name.as_str()),
            ("role", role_word(self.who.role)),
            ("groups", &groups),
            ("central", &self.central),
            ("identity", &self.who.identity.to_string()),
            ("by", by),
        ];
        lines.iter().map(|(key, value)| format!("{key:<9} {}\n", escape(value))).collect()
    }
}

impl CommandResult for SessionsResult {
    const SCHEMA: &'static str = "peral.sessions/1";

    fn text(&self, out: &Output) -> String {
        let mut table = Table::new(&["ID", "LABEL", "STARTED", "ENDS", ""]);
        for session in &self.items {
            table.row([
                &session.id.to_string(),
                &session.label,
                &age(session.created_ms, out.now_ms()),
                &instant(session.ends_ms),
                if session.current { "this one" } else { "" },
            ]);
        }
        out.table(&table, "no sessions")
    }
}

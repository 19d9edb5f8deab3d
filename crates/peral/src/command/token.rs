//! `peral token`

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use peral_model::TokenId;
use peral_wire::{
    Failure, fail,
    rest::accounts::{MintedToken, NewApiToken, NewJoinToken, Token},
};
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, Table, escape, instant},
};

/// Manage API tokens, and join tokens for peers (administrators).
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create an API token: it logs in as an account, without a password.
    Add(AddTokenArgs),
    /// List your API tokens; administrators see all.
    Ls,
    /// Revoke an API token; the sessions that it started end.
    Rm(TokenArgs),
    /// Create a join token: it lets peers join the network for an account.
    Join(JoinArgs),
    /// List the join tokens.
    JoinLs,
    /// Revoke a join token; peers that joined with it stay.
    JoinRm(TokenArgs),
}

#[derive(Debug, Args)]
pub struct AddTokenArgs {
    /// A label: what the token is for.
    label: String,
    /// Create it for this account (administrators) [default: your account]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// How long it is valid, such as 12h or 30d [default: 90d]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    lasts: Option<Lifetime>,
    #[command(flatten)]
    out: SecretFileArgs,
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The account that the peers act for.
    #[arg(long, value_name = "NAME")]
    account: String,
    /// How many peers can join with it.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    uses: u32,
    /// A label: what the token is for.
    #[arg(long, value_name = "TEXT", default_value = "peers")]
    label: String,
    /// How long it is valid, such as 30m or 7d [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    lasts: Option<Lifetime>,
    #[command(flatten)]
    out: SecretFileArgs,
}

#[derive(Debug, Args)]
struct SecretFileArgs {
    /// Write the secret to this new file, which only you can read, instead of stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Id of the token.
    id: String,
}

/// A span of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lifetime(i64);

#[derive(Serialize)]
pub struct TokenResult {
    #[serde(flatten)]
    pub token: Token,
    /// The secret, unless it went into a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

#[derive(Serialize)]
pub struct ApiTokensResult {
    pub items: Vec<Token>,
}

#[derive(Serialize)]
pub struct JoinTokensResult {
    pub items: Vec<Token>,
}

#[derive(Serialize)]
pub struct TokenEndedResult {
    pub id: TokenId,
}

impl TokenCommand {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        let ends = |lasts: Option<Lifetime>| {
            lasts.map(|Lifetime(ms)| context.clock.now_ms().saturating_add(ms))
        };
        match self {
            Self::Add(args) => {
                let token = NewApiToken {
                    label: args.label,
                    account: args.account,
                    ends_ms: ends(args.lasts),
                };
                let minted = catalogue.add_api_token(&token).await?;
                context.out.result(&args.out.deliver(minted)?)
            }
            Self::Join(args) => {
                let token = NewJoinToken {
                    label: args.label,
                    account: args.account,
                    uses: args.uses,
                    ends_ms: ends(args.lasts),
                };
                let minted = catalogue.add_join_token(&token).await?;
                context.out.result(&args.out.deliver(minted)?)
            }
            Self::Ls => {
                let items = catalogue.api_tokens().await?.items;
                context.out.result(&ApiTokensResult { items })
            }
            Self::JoinLs => {
                let items = catalogue.join_tokens().await?.items;
                context.out.result(&JoinTokensResult { items })
            }
            Self::Rm(args) => {
                let id = args.id()?;
                catalogue.remove_api_token(id).await?;
                context.out.result(&TokenEndedResult { id })
            }
            Self::JoinRm(args) => {
                let id = args.id()?;
                catalogue.remove_join_token(id).await?;
                context.out.result(&TokenEndedResult { id })
            }
        }
    }
}

impl TokenArgs {
    fn id(&self) -> Result<TokenId, Failure> {
        self.id.parse().map_err(|error| fail!(InvalidArgument, "{error}"))
    }
}

impl SecretFileArgs {
    fn deliver(self, minted: MintedToken) -> Result<TokenResult, Failure> {
        let MintedToken { token, secret } = minted;
        let Some(file) = self.out else {
            return Ok(TokenResult { token, secret: Some(secret), file: None });
        };
        write_secret(&file, &secret)?;
        Ok(TokenResult { token, secret: None, file: Some(file) })
    }
}

/// Does not overwrite a file: it may hold a secret that is in use.
fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(
            |mut file| {
                writeln!(file, "{secret}")?;
                file.sync_all()
            },
        );
    written.map_err(|error| {
        fail!(
            InvalidArgument,
            "the token was created, but its secret could not be written to {}: {error}; revoke \
             the token and create another one",
            path.display()
        )
    })
}

/// Reads `30m`, `12h`, `90d`.
fn lifetime(text: &str) -> Result<Lifetime, Failure> {
    let bad = || {
        fail!(
            InvalidArgument,
            "{text:?} is not a span of time: write a number and s, m, h or d, such as 12h"
        )
    };
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let count: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
    Ok(Lifetime(i64::from(count) * seconds * 1000))
}

impl CommandResult for TokenResult {
    const SCHEMA: &'static str = "peral.token/1";

    fn text(&self, _: &Output) -> String {
        match (&self.secret, &self.file) {
            (Some(secret), _) => format!("{}\n", escape(secret)),
            (None, Some(file)) => {
                let (id, file) = (self.token.id, file.to_string_lossy());
                let ends = instant(self.token.ends_ms);
                format!("Wrote the token {id} to {}; it is valid until {ends}.\n", escape(&file))
            }
            (None, None) => String::new(),
        }
    }
}

impl CommandResult for ApiTokensResult {
    const SCHEMA: &'static str = "peral.tokens/1";

    fn text(&self, out: &Output) -> String {
        list(&self.items, out)
    }
}

impl CommandResult for JoinTokensResult {
    const SCHEMA: &'static str = "peral.join-tokens/1";

    fn text(&self, out: &Output) -> String {
        list(&self.items, out)
    }
}

fn list(tokens: &[Token], out: &Output) -> String {
    let mut table = Table::new(&["ID", "LABEL", "ACCOUNT", "VALID UNTIL", "USES LEFT"]).right(&[4]);
    for token in tokens {
        table.row([
            &token.id.to_string(),
            &token.label,
            &token.account,
            &instant(token.ends_ms),
            &token.uses_left.map(|uses| uses.to_string()).unwrap_or_default(),
        ]);
    }
    out.table(&table, "no tokens")
}

impl CommandResult for TokenEndedResult {
    const SCHEMA: &'static str = "peral.token-ended/1";

    fn text(&self, _: &Output) -> String {
        format!("Revoked the token {}.\n", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(lifetime("30m"), Ok(Lifetime(1_800_000)));
        assert_eq!(lifetime("90d"), Ok(Lifetime(7_776_000_000)));
        for text in ["", "d", "5", "5w", "-5d", "5dd", "5 d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_written_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_secret(&path, "first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "second").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
    }
}

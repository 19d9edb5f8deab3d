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
    output::{Items, Table, instant, shown},
};

/// Manage API tokens, and join tokens for peers (administrators).
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make an API token: it logs in as an account, without a password.
    Add(AddArgs),
    /// List API tokens: yours; for administrators, all.
    Ls,
    /// End an API token, and the sessions that it began.
    Rm(IdArgs),
    /// Make a join token: it lets peers join for an account.
    Join(JoinArgs),
    /// List the join tokens.
    JoinLs,
    /// End a join token; peers that joined by it stay.
    JoinRm(IdArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// What it is for.
    label: String,
    /// For this account (administrators), rather than for you.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// How long it lasts, such as 12h or 30d [default: 90d]
    #[arg(long, value_name = "TIME", value_parser = lasting)]
    lasts: Option<Lasting>,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The account that the peers work for.
    #[arg(long, value_name = "NAME")]
    account: String,
    /// How many peers may join by it.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    uses: u32,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "peers")]
    label: String,
    /// How long it can be used, such as 30m or 7d [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = lasting)]
    lasts: Option<Lasting>,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, Args)]
struct OutArgs {
    /// Write the secret into this new file, readable by you alone, rather than to stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct IdArgs {
    /// Id of the token.
    id: String,
}

/// A span of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lasting(i64);

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    token: Token,
    /// The secret, unless it went into a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Ended {
    id: TokenId,
}

impl TokenCommand {
    /// Talks to central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let catalogue = &user.catalogue;
        let ends = |lasts: Option<Lasting>| {
            lasts.map(|Lasting(ms)| context.clock.now_ms().saturating_add(ms))
        };
        match self {
            Self::Add(args) => {
                let token = NewApiToken {
                    label: args.label,
                    account: args.account,
                    ends_ms: ends(args.lasts),
                };
                made(context, catalogue.add_api_token(&token).await?, args.out.out)
            }
            Self::Join(args) => {
                let token = NewJoinToken {
                    label: args.label,
                    account: args.account,
                    uses: args.uses,
                    ends_ms: ends(args.lasts),
                };
                made(context, catalogue.add_join_token(&token).await?, args.out.out)
            }
            Self::Ls => list(context, "peral.tokens/1", catalogue.api_tokens().await?.items),
            Self::JoinLs => {
                list(context, "peral.join-tokens/1", catalogue.join_tokens().await?.items)
            }
            Self::Rm(args) => {
                let id = args.id()?;
                catalogue.remove_api_token(id).await?;
                ended(context, id)
            }
            Self::JoinRm(args) => {
                let id = args.id()?;
                catalogue.remove_join_token(id).await?;
                ended(context, id)
            }
        }
    }
}

impl IdArgs {
    fn id(&self) -> Result<TokenId, Failure> {
        self.id.parse().map_err(|error| fail!(InvalidArgument, "{error}"))
    }
}

fn made(context: &Context, minted: MintedToken, file: Option<PathBuf>) -> Result<(), Failure> {
    if let Some(path) = &file {
        write_secret(path, &minted.secret)?;
    }
    let secret = file.is_none().then_some(minted.secret);
    context.out.result("peral.token/1", &Made { token: minted.token, secret, file }, |said| match (
        &said.secret,
        &said.file,
    ) {
        (Some(secret), _) => format!("{}\n", shown(secret)),
        (None, Some(file)) => {
            format!(
                "Wrote the token {} into {}; it ends {}.\n",
                said.token.id,
                shown(&file.to_string_lossy()),
                instant(said.token.ends_ms)
            )
        }
        (None, None) => String::new(),
    })
}

/// A file that is there already is not written over: it may hold a secret that is in use.
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
            "the token was made, but {} cannot be written ({error}); end it and make another",
            path.display()
        )
    })
}

fn list(context: &Context, schema: &'static str, items: Vec<Token>) -> Result<(), Failure> {
    context.out.result(schema, &Items { items }, |said| {
        let mut table = Table::new(&["ID", "LABEL", "ACCOUNT", "ENDS", "USES LEFT"]).right(&[4]);
        for token in &said.items {
            let uses = token.uses_left.map(|uses| uses.to_string()).unwrap_or_default();
            table.row([
                &token.id.to_string(),
                &token.label,
                &token.account,
                &instant(token.ends_ms),
                &uses,
            ]);
        }
        context.out.table(&table, "no tokens")
    })
}

fn ended(context: &Context, id: TokenId) -> Result<(), Failure> {
    context.out.result("peral.token-ended/1", &Ended { id }, |said| {
        format!("Ended the token {}.\n", said.id)
    })
}

/// Reads `30m`, `12h`, `90d`.
fn lasting(text: &str) -> Result<Lasting, Failure> {
    let bad = || {
        fail!(
            InvalidArgument,
            "{text:?} is no span of time: write a number and s, m, h or d, such as 12h"
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
    Ok(Lasting(i64::from(count) * seconds * 1000))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(lasting("30m"), Ok(Lasting(1_800_000)));
        assert_eq!(lasting("90d"), Ok(Lasting(7_776_000_000)));
        for text in ["", "d", "5", "5w", "-5d", "5dd", "5 d"] {
            assert!(lasting(text).is_err(), "{text}");
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

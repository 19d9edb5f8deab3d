//! The tree of commands.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use peral_central::CentralArgs;
use peral_peer::PeerArgs;
use peral_runtime::telemetry::TelemetryArgs;
use peral_wire::{Failure, fail};

use crate::{
    command::{
        access, cancel, download, echo, group, help, login, logout, ls, passwd, peers, revoke, rm,
        search, share, status, token, upload, user, whoami,
    },
    config,
    context::Context,
    global::Global,
};

/// A peer-to-peer network for files with a central catalogue.
#[derive(Debug, Parser)]
#[command(name = "peral", version, max_term_width = 100)]
#[command(
    after_help = "Start with `peral login --central URL`. Next to a running peer (for example in \
        its pod) no login is needed: commands use the peer's account. In a job or an init \
        container, set PERAL_CENTRAL, PERAL_CA_FILE and PERAL_TOKEN_FILE: each command then logs \
        in for itself, stores no login on disk and needs no home folder. `peral help exit-codes` \
        and `peral help json` describe what scripts can rely on."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// A command line, read.
pub struct Parsed {
    pub cli: Cli,
    /// Name of the command, with its subcommand.
    pub name: String,
}

/// What `peral` can do: commands of users, the roles of the network, and help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Whoami(whoami::WhoamiArgs),
    Passwd(passwd::PasswdArgs),
    Upload(upload::UploadArgs),
    Download(download::DownloadArgs),
    Search(search::SearchArgs),
    Ls(ls::LsArgs),
    Rm(rm::RmArgs),
    Access(access::AccessArgs),
    Peers(peers::PeersArgs),
    Share(share::ShareArgs),
    Status(status::StatusArgs),
    Cancel(cancel::CancelArgs),
    Echo(echo::EchoArgs),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Group(group::GroupCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    Revoke(revoke::RevokeArgs),
    Central(Box<CentralArgs>),
    Peer(Box<PeerArgs>),
    Completions(help::CompletionsArgs),
    Man(help::ManArgs),
    ExitCodes(help::ExitCodesArgs),
    Json(help::JsonArgs),
}

impl Command {
    /// Runs a user's command.
    ///
    /// # Errors
    /// Why it failed: its code gives the exit code.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Login(args) => args.run(context).await,
            Self::Logout(args) => args.run(context).await,
            Self::Whoami(args) => args.run(context).await,
            Self::Passwd(args) => args.run(context).await,
            Self::Upload(args) => args.run(context).await,
            Self::Download(args) => args.run(context).await,
            Self::Search(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Rm(args) => args.run(context).await,
            Self::Access(args) => args.run(context).await,
            Self::Peers(args) => args.run(context).await,
            Self::Share(args) => args.run(context).await,
            Self::Status(args) => args.run(context).await,
            Self::Cancel(args) => args.run(context).await,
            Self::Echo(args) => args.run(context).await,
            Self::User(command) => command.run(context).await,
            Self::Group(command) => command.run(context).await,
            Self::Token(command) => command.run(context).await,
            Self::Revoke(args) => args.run(context).await,
            Self::Completions(args) => args.run(&mut Cli::command()),
            Self::Man(args) => args.run(Cli::command()),
            Self::ExitCodes(args) => args.run(context),
            Self::Json(args) => args.run(context),
            // `run.rs` starts the roles itself: they are not users of central.
            Self::Central(_) | Self::Peer(_) => Err(fail!(Internal, "a role was run as a command")),
        }
    }
}

/// Reads the command line, over the environment, over the configuration file.
///
/// # Errors
/// What to print: a mistake, or help.
pub fn parse(args: Vec<OsString>) -> Result<Parsed, clap::Error> {
    let command = config::apply(Cli::command(), config::path_in(&args))?;
    let matches = command.try_get_matches_from(pages(args))?;
    let mut name = Vec::new();
    let mut at = &matches;
    while let Some((command, below)) = at.subcommand() {
        name.push(command);
        at = below;
    }
    Ok(Parsed { cli: Cli::from_arg_matches(&matches)?, name: name.join(" ") })
}

/// `peral help exit-codes` and `peral help json` print the pages themselves, not their usage.
fn pages(mut args: Vec<OsString>) -> Vec<OsString> {
    let text = |at: usize| args.get(at).and_then(|arg| arg.to_str()).unwrap_or_default();
    let mut at = 1;
    // Each flag before the command has a value.
    while text(at).starts_with("--") {
        at += if text(at).contains('=') { 1 } else { 2 };
    }
    if text(at) == "help" && matches!(text(at + 1), "exit-codes" | "json") {
        args.remove(at);
    }
    args
}

/// Whether the command line, or the environment, asks for JSON. For mistakes on the command line
/// that stop it from being read.
pub fn wants_json(args: &[OsString]) -> bool {
    config::flag_in(args, "--output")
        .or_else(|| std::env::var_os("PERAL_OUTPUT"))
        .is_some_and(|format| format == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_page_of_help_is_the_page() {
        let pages = |text: &str| {
            pages(text.split(' ').map(OsString::from).collect()).join(&OsString::from(" "))
        };
        assert_eq!(pages("peral help json"), "peral json");
        assert_eq!(
            pages("peral --output json --log=warn help exit-codes --data x"),
            "peral --output json --log=warn exit-codes --data x"
        );
        for other in [
            "peral help ls",
            "peral help",
            "peral search help json",
            "peral help token add",
            "peral --output help json",
        ] {
            assert_eq!(pages(other), other);
        }
    }

    #[test]
    fn json_is_recognised_before_the_command_line_is_read() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&args("peral ls --output json")));
        assert!(wants_json(&args("peral --output=json ls")));
        assert!(!wants_json(&args("peral download x -- --output json")));
    }
}

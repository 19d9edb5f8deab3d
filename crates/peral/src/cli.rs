//! The tree of commands and the flags that all of them take.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use peral_central::CentralArgs;
use peral_peer::args::PeerArgs;
use peral_runtime::telemetry::TelemetryArgs;

use crate::{
    central::FirstContact,
    command::{
        access, cancel, download, echo, files, group, help, login, logout, passwd, peers, revoke,
        rm, search, share, status, token, upload, user, whoami,
    },
    config,
    output::Format,
};

/// A peer-to-peer network for files with a central catalogue.
#[derive(Debug, Parser)]
#[command(name = "peral", version, max_term_width = 100)]
#[command(
    after_help = "Start with `peral login --central URL`; beside a peer, as in its pod, commands \
        act \
        for the peer's account without one. Where nobody logs in (a job, an init container), set \
        PERAL_CENTRAL, PERAL_CA_FILE and PERAL_TOKEN_FILE: a command then logs in for itself, \
        writes nothing of it to disk, and needs no home. `peral help exit-codes` and `peral help \
        json` say what scripts can rely on."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command line that was read.
pub struct Parsed {
    /// What it says.
    pub cli: Cli,
    /// Name of the command, with that of the command below it.
    pub name: String,
}

/// Flags of every command. Each can also stand in `peral.toml`, by its long name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results are written.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        env = "PERAL_OUTPUT",
        hide_env_values = true
    )]
    pub output: Format,
    /// Where central is; without it, the network that you are logged in to.
    #[arg(long, global = true, value_name = "URL", env = "PERAL_CENTRAL", hide_env_values = true)]
    pub central: Option<String>,
    /// Data folder of the peer that runs here, if one does [env: PERAL_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    // Apart from --data, so that what the environment or the file says of the peer's folder is
    // never taken for central's. So it is with the others: what they say for all commands is never
    // taken for a flag of one that has such a flag itself.
    #[arg(long, global = true, hide = true, env = "PERAL_DATA")]
    data_default: Option<PathBuf>,
    /// File with an API token: this command logs in with it, for itself alone, and out at its end
    /// [env: PERAL_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_TOKEN_FILE")]
    token_file_default: Option<PathBuf>,
    /// Certificate of central's authority (PEM), for such a login [env: PERAL_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FILE")]
    ca_file_default: Option<PathBuf>,
    /// Fingerprint of that certificate [env: PERAL_CA_FINGERPRINT]
    #[arg(long, global = true, value_name = "HEX")]
    ca_fingerprint: Option<String>,
    #[arg(long, global = true, hide = true, env = "PERAL_CA_FINGERPRINT")]
    ca_fingerprint_default: Option<String>,
    /// Configuration file; without it, `peral.toml` in your configuration folder, if it is there.
    #[arg(long, global = true, value_name = "FILE", env = "PERAL_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl Global {
    /// The peer's data folder, where anything names it.
    pub fn peer_data(&self) -> Option<PathBuf> {
        self.data.clone().or_else(|| self.data_default.clone())
    }

    /// The file with an API token, where one command is to log in for itself.
    pub fn token_file(&self) -> Option<PathBuf> {
        let named = |path: &&PathBuf| !path.as_os_str().is_empty();
        self.token_file.as_ref().or(self.token_file_default.as_ref()).filter(named).cloned()
    }

    /// How central is known at first contact: by the flags, or else by the environment.
    pub fn first_contact(&self) -> FirstContact {
        if self.ca_file.is_some() || self.ca_fingerprint.is_some() {
            return FirstContact {
                ca_file: self.ca_file.clone(),
                ca_fingerprint: self.ca_fingerprint.clone(),
            };
        }
        let ca_file = self.ca_file_default.clone().filter(|path| !path.as_os_str().is_empty());
        FirstContact {
            ca_file,
            ca_fingerprint: self.ca_fingerprint_default.clone().filter(|text| !text.is_empty()),
        }
    }
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
    Ls(files::LsArgs),
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

/// Reads the command line, over the environment, over the configuration file.
///
/// # Errors
/// What to print: a mistake, or the help that was asked for.
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

/// `peral help exit-codes` and `peral help json` are the pages themselves, not how to call them.
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

/// Does the command line, or the environment, ask for JSON? For mistakes that keep the command line
/// from being read.
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
    fn json_is_noticed_before_the_command_line_is_read() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&args("peral ls --output json")));
        assert!(wants_json(&args("peral --output=json ls")));
        assert!(!wants_json(&args("peral download x -- --output json")));
    }
}

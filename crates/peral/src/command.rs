//! The commands of users, one module each, and the roles.

pub mod access;
pub mod cancel;
pub mod download;
pub mod echo;
pub mod files;
pub mod group;
pub mod help;
pub mod login;
pub mod logout;
pub mod passwd;
pub mod peers;
pub mod revoke;
pub mod rm;
pub mod search;
pub mod share;
pub mod status;
pub mod token;
pub mod upload;
pub mod user;
pub mod whoami;

use peral_wire::{Failure, fail};

use crate::{cli::Command, context::Context};

/// Runs a user's command.
///
/// # Errors
/// Why it failed: its code gives the exit code.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Login(args) => args.run(context).await,
        Command::Logout(args) => args.run(context).await,
        Command::Whoami(args) => args.run(context).await,
        Command::Passwd(args) => args.run(context).await,
        Command::Upload(args) => args.run(context).await,
        Command::Download(args) => args.run(context).await,
        Command::Search(args) => args.run(context).await,
        Command::Ls(args) => args.run(context).await,
        Command::Rm(args) => args.run(context).await,
        Command::Access(args) => args.run(context).await,
        Command::Peers(args) => args.run(context).await,
        Command::Share(args) => args.run(context).await,
        Command::Status(args) => args.run(context).await,
        Command::Cancel(args) => args.run(context).await,
        Command::Echo(args) => args.run(context).await,
        Command::User(command) => command.run(context).await,
        Command::Group(command) => command.run(context).await,
        Command::Token(command) => command.run(context).await,
        Command::Revoke(args) => args.run(context).await,
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(),
        Command::ExitCodes(args) => args.run(context),
        Command::Json(args) => args.run(context),
        // The roles have their own way in: they are no users of central.
        Command::Central(_) | Command::Peer(_) => {
            Err(fail!(Internal, "a role was taken for a command"))
        }
    }
}

//! Arguments of `peral central init`.

use std::path::PathBuf;

use clap::Args;
use peral_wire::{Failure, fail};
use secrecy::SecretString;

use super::place::PlaceArgs;
use crate::secret::{first_line, secret_line};

/// Arguments of `central init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder and database.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Name of the first administrator
    #[arg(long, value_name = "NAME")]
    pub admin: String,
    /// File with the administrator's password; without it, init asks on the terminal
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub password_file: Option<PathBuf>,
    /// Read the administrator's password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}

impl InitArgs {
    /// The password for the first administrator: from a file, from standard input, or asked for
    /// twice on the terminal.
    ///
    /// # Errors
    /// INVALID_ARGUMENT.
    pub fn password(&self) -> Result<SecretString, Failure> {
        if let Some(path) = &self.password_file {
            return secret_line(path);
        }
        let unreadable = |error: std::io::Error| {
            fail!(
                InvalidArgument,
                "cannot read the password: {error}; give --password-file or --password-stdin"
            )
        };
        if self.password_stdin {
            return std::io::read_to_string(std::io::stdin())
                .map(|text| first_line(&text))
                .map_err(unreadable);
        }
        let first = rpassword::prompt_password(format!("Password for {}: ", self.admin))
            .map_err(unreadable)?;
        let second = rpassword::prompt_password("Again: ").map_err(unreadable)?;
        if first == second {
            Ok(SecretString::from(first))
        } else {
            Err(fail!(InvalidArgument, "the two passwords differ"))
        }
    }
}

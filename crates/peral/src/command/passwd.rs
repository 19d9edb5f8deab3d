//! `peral passwd`

use std::{io, path::PathBuf};

use clap::Args;
use peral_wire::{Failure, rest::sessions::PasswordChange};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{context::Context, output::shown, secret};

/// Change your password; your other sessions end.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    /// File that holds the password until now in its first line.
    #[arg(long, value_name = "FILE", requires = "new_password_file")]
    password_file: Option<PathBuf>,
    /// File that holds the new password in its first line.
    #[arg(long, value_name = "FILE", requires = "password_file")]
    new_password_file: Option<PathBuf>,
    /// Read both from standard input: the password until now, then the new one, a line each.
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
}

#[derive(Serialize)]
struct Changed {
    account: String,
}

impl PasswdArgs {
    /// Changes the password.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let (current, new) = self.passwords(&user.login.name)?;
        let change = PasswordChange {
            current: current.expose_secret().to_owned(),
            new: new.expose_secret().to_owned(),
        };
        user.catalogue.change_password(&change).await?;
        let said = Changed { account: user.login.name };
        context.out.result("peral.passwd/1", &said, |said| {
            format!("The password of {} is changed.\n", shown(&said.account))
        })
    }

    fn passwords(&self, account: &str) -> Result<(SecretString, SecretString), Failure> {
        if let (Some(current), Some(new)) = (&self.password_file, &self.new_password_file) {
            return Ok((secret::file(current)?, secret::file(new)?));
        }
        if self.password_stdin {
            let mut input = io::stdin().lock();
            return Ok((secret::line_of(&mut input)?, secret::line_of(&mut input)?));
        }
        let current = secret::ask(&format!("Password of {} until now", shown(account)))?;
        Ok((current, secret::ask_twice("New password")?))
    }
}

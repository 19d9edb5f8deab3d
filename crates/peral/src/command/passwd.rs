//! `peral passwd`

use std::{io, path::PathBuf};

use clap::Args;
use peral_wire::{Failure, rest::sessions::PasswordChange};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, escape},
    secret,
};

/// Change your password; your other sessions end.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    /// File that holds the current password in its first line.
    #[arg(long, value_name = "FILE", requires = "new_password_file")]
    password_file: Option<PathBuf>,
    /// File that holds the new password in its first line.
    #[arg(long, value_name = "FILE", requires = "password_file")]
    new_password_file: Option<PathBuf>,
    /// Read two lines from standard input: the current password, then the new one.
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
}

#[derive(Serialize)]
pub struct PasswdResult {
    pub account: String,
}

impl PasswdArgs {
    /// Changes the password.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let change = self.change(&user.login.name)?;
        user.catalogue.change_password(&change).await?;
        context.out.result(&PasswdResult { account: user.login.name })
    }

    fn change(&self, account: &str) -> Result<PasswordChange, Failure> {
        let (current, new) = match (&self.password_file, &self.new_password_file) {
            (Some(current), Some(new)) => (secret::file(current)?, secret::file(new)?),
            _ if self.password_stdin => {
                let mut input = io::stdin().lock();
                (secret::line_of(&mut input)?, secret::line_of(&mut input)?)
            }
            _ => {
                let current = secret::ask(&format!("Current password of {}", escape(account)))?;
                (current, secret::ask_twice("New password")?)
            }
        };
        Ok(PasswordChange {
            current: current.expose_secret().to_owned(),
            new: new.expose_secret().to_owned(),
        })
    }
}

impl CommandResult for PasswdResult {
    const SCHEMA: &'static str = "peral.passwd/1";

    fn text(&self, _: &Output) -> String {
        format!("Changed the password of {}.\n", escape(&self.account))
    }
}

//! Passwords: from a file, from standard input, or typed on the terminal. Never from the command
//! line, which everybody on the machine can see.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use peral_wire::{Failure, fail};
use secrecy::SecretString;

/// Maximum length of the line with a secret.
const MAX_SECRET: u64 = 4096;

/// Where a password comes from. Without a flag, it is typed on the terminal.
#[derive(Debug, Clone, Args)]
#[group(id = "password-source", multiple = false)]
pub struct PasswordArgs {
    /// File that holds the password in its first line.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Read the password from standard input.
    #[arg(long)]
    pub password_stdin: bool,
}

impl PasswordArgs {
    /// The current password of an account.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: it cannot be read.
    pub fn current(&self, prompt: &str) -> Result<SecretString, Failure> {
        match self.given()? {
            Some(password) => Ok(password),
            None => ask(prompt),
        }
    }

    /// A new password; on the terminal it must be typed twice.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: it cannot be read, or the two differ.
    pub fn new_one(&self, prompt: &str) -> Result<SecretString, Failure> {
        match self.given()? {
            Some(password) => Ok(password),
            None => ask_twice(prompt),
        }
    }

    fn given(&self) -> Result<Option<SecretString>, Failure> {
        if self.password_stdin {
            return line_of(&mut io::stdin().lock()).map(Some);
        }
        self.password_file.as_deref().map(file).transpose()
    }
}

/// The secret in the first line of a file.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn file(path: &Path) -> Result<SecretString, Failure> {
    let opened = fs::File::open(path)
        .map_err(|error| fail!(InvalidArgument, "could not read {}: {error}", path.display()))?;
    first_line(&mut io::BufReader::new(opened), &path.display().to_string())
}

/// The next line of standard input, as a secret.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn line_of(input: &mut impl BufRead) -> Result<SecretString, Failure> {
    first_line(input, "standard input")
}

fn first_line(input: &mut impl BufRead, place: &str) -> Result<SecretString, Failure> {
    let mut line = String::new();
    input
        .take(MAX_SECRET)
        .read_line(&mut line)
        .map_err(|error| fail!(InvalidArgument, "could not read {place}: {error}"))?;
    let secret = line.trim_end_matches(['\r', '\n']);
    match secret.is_empty() {
        true => Err(fail!(
            InvalidArgument,
            "the first line of {place} is empty: it must have the password or the token"
        )),
        false => Ok(SecretString::from(secret)),
    }
}

/// Asks on the terminal, which does not show what is typed.
///
/// # Errors
/// INVALID_ARGUMENT: there is no terminal.
pub fn ask(prompt: &str) -> Result<SecretString, Failure> {
    if !io::stdin().is_terminal() {
        return Err(fail!(
            InvalidArgument,
            "there is no terminal to ask for the password: pass --password-file FILE or \
             --password-stdin"
        ));
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    typed
        .map(SecretString::from)
        .map_err(|error| fail!(InvalidArgument, "could not ask for the password: {error}"))
}

/// Asks for a new password twice.
///
/// # Errors
/// As [`ask`], and when the two differ.
pub fn ask_twice(prompt: &str) -> Result<SecretString, Failure> {
    use secrecy::ExposeSecret;
    let (first, second) = (ask(prompt)?, ask("Again")?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(fail!(InvalidArgument, "the two passwords differ"))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_the_first_line_and_never_empty() {
        let read = |text: &str| {
            line_of(&mut text.as_bytes()).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(read("correct horse \r\nbattery"), Ok("correct horse ".into()));
        assert_eq!(read("x"), Ok("x".into()));
        assert!(read("").is_err() && read("\nx").is_err());
        for path in ["/nowhere", "/dev/null"] {
            assert!(file(Path::new(path)).is_err_and(|failure| failure.detail.contains(path)));
        }
    }
}

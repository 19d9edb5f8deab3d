//! Files that hold a secret.

use std::{fs, path::Path};

use peral_wire::{Failure, fail};
use secrecy::SecretString;

/// The first line of a file that holds a secret.
pub(crate) fn secret_line(path: &Path) -> Result<SecretString, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| fail!(InvalidArgument, "cannot read {}: {error}", path.display()))?;
    Ok(first_line(&text))
}

pub(crate) fn first_line(text: &str) -> SecretString {
    SecretString::from(text.lines().next().unwrap_or_default().to_owned())
}

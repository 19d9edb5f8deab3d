//! Checks of texts that callers send.

use peral_wire::{Failure, fail};

/// Checks that a text has at most so many characters.
pub(super) fn at_most(what: &str, text: &str, most: usize) -> Result<(), Failure> {
    let chars = text.chars().count();
    if chars <= most && !text.contains('\0') {
        return Ok(());
    }
    Err(fail!(
        InvalidArgument,
        "the {what} has {chars} characters; use at most {most}, without NUL"
    ))
}

/// Checks the name of an account or group: 1 to 64 characters of `a-z 0-9 . _ -`, beginning with a
/// letter or digit.
pub(crate) fn account_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = name.len() <= 64
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        && name.bytes().next().is_some_and(plain);
    if good {
        return Ok(());
    }
    Err(fail!(
        InvalidArgument,
        "{:?} is not a valid name: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a \
         letter or digit",
        name.chars().take(80).collect::<String>()
    ))
}

/// The answer to identities that central does not know, or no longer.
pub(super) fn unknown_identity() -> Failure {
    fail!(Unauthenticated, "this identity is unknown or has ended; log in or register again")
}

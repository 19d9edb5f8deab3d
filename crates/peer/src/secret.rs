//! Secrets that are read from files.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use peral_wire::{Failure, fail};

/// Lets a new key join. It is read only when it is needed: the file may be deleted once the key is
/// registered.
#[derive(Clone)]
pub enum JoinToken {
    /// The token itself.
    Secret(String),
    /// The first line of this file.
    File(PathBuf),
}

impl JoinToken {
    /// Reads the token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when the file cannot be read.
    pub fn read(&self) -> Result<String, Failure> {
        match self {
            Self::Secret(text) => Ok(text.clone()),
            Self::File(path) => secret_line(path),
        }
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("a secret"),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

/// The file with the service account token of this pod. It expires within the hour and Kubernetes
/// replaces it, so it is read each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodToken(pub PathBuf);

impl PodToken {
    /// Reads the present token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, naming the file, when it cannot be read or is empty.
    pub fn read(&self) -> Result<String, Failure> {
        let token = secret_line(&self.0)?;
        if token.is_empty() {
            Err(fail!(
                InvalidArgument,
                "{} is empty; it must hold this pod's token",
                self.0.display()
            ))
        } else {
            Ok(token)
        }
    }
}

fn secret_line(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| fail!(InvalidArgument, "cannot read {}: {error}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

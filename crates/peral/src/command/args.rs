//! Arguments that several commands read alike.

use std::path::Path;

use clap::Args;
use peral_model::Visibility;
use peral_wire::{Failure, fail};

/// How many rows a listing has.
#[derive(Debug, Clone, Copy, Args)]
pub struct RowLimitArgs {
    /// Maximum number of rows.
    #[arg(
        long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all"
    )]
    pub limit: u32,
    /// Print all rows.
    #[arg(long)]
    pub all: bool,
}

impl RowLimitArgs {
    /// Maximum number of rows.
    pub fn most(self) -> usize {
        if self.all { usize::MAX } else { self.limit as usize }
    }
}

/// A path as the peer, which has another working folder, must get it.
///
/// # Errors
/// INVALID_ARGUMENT: it does not exist, or is not Unicode.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let real = path
        .canonicalize()
        .map_err(|error| fail!(InvalidArgument, "cannot use {}: {error}", path.display()))?;
    unicode(&real)
}

/// A path as text, for messages that carry text.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn unicode(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| fail!(InvalidArgument, "{} is not Unicode text", path.display()))
}

/// The visibility that flags mean.
pub fn visibility(private: bool) -> Visibility {
    if private { Visibility::Private } else { Visibility::Public }
}

/// A visibility as people see it.
pub fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Public => "public",
    }
}

//! Arguments that several commands read alike.

use std::path::Path;

use clap::Args;
use peral_model::Visibility;
use peral_wire::{Failure, fail};

/// How much of a listing is wanted.
#[derive(Debug, Clone, Copy, Args)]
pub struct LimitArgs {
    /// Most rows.
    #[arg(
        long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all"
    )]
    pub limit: u32,
    /// All rows, however many.
    #[arg(long)]
    pub all: bool,
}

impl LimitArgs {
    /// Most rows, as a number.
    pub fn most(self) -> usize {
        if self.all { usize::MAX } else { self.limit as usize }
    }
}

/// A path as the peer, whose working folder is another, must be told it.
///
/// # Errors
/// INVALID_ARGUMENT: it is not there, or is no Unicode.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let real = path
        .canonicalize()
        .map_err(|error| fail!(InvalidArgument, "{} cannot be used: {error}", path.display()))?;
    unicode(&real)
}

/// A path as text, for messages that carry text.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn unicode(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| fail!(InvalidArgument, "{} is no Unicode text", path.display()))
}

/// The visibility that flags mean.
pub fn visibility(private: bool) -> Visibility {
    if private { Visibility::Private } else { Visibility::Public }
}

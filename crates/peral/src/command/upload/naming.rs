//! The name of an upload.

use std::path::{Path, PathBuf};

use peral_model::FileName;
use peral_wire::{Failure, convert, fail};

use crate::{command::args::absolute, control::LocalPeer};

/// What the command line says about the name.
pub struct Naming<'a> {
    pub file: &'a Path,
    pub name: Option<&'a str>,
}

/// The name, and whether the file is inside a share of the local peer.
pub struct NamedFile {
    pub name: FileName,
    pub in_share: bool,
}

impl Naming<'_> {
    /// The given name, or that of the path in a share of the local peer, or the file's own.
    ///
    /// # Errors
    /// INVALID_NAME; what the peer answers.
    pub async fn resolve(
        &self,
        is_stdin: bool,
        local: Option<&mut LocalPeer>,
    ) -> Result<NamedFile, Failure> {
        if is_stdin {
            let name = convert::name(self.name.unwrap_or_default())?;
            return Ok(NamedFile { name, in_share: false });
        }
        let path = PathBuf::from(absolute(self.file)?);
        let shares = match local {
            Some(local) => local.control.status().await?.shares,
            None => Vec::new(),
        };
        let inside = shares
            .iter()
            .find_map(|share| Some((&share.prefix, path.strip_prefix(&share.path).ok()?)));
        let name = match (self.name, inside) {
            (Some(name), _) => name.to_owned(),
            (None, Some((prefix, rest))) if prefix.is_empty() => text(rest)?,
            (None, Some((prefix, rest))) => {
                format!("{}/{}", prefix.trim_end_matches('/'), text(rest)?)
            }
            (None, None) => text(Path::new(path.file_name().unwrap_or_default()))?,
        };
        Ok(NamedFile { name: convert::name(&name)?, in_share: inside.is_some() })
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| fail!(InvalidName, "{} is not Unicode text: pass --name", path.display()))
}

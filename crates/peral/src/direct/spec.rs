//! What a transfer is to do, and what its result must be.

use std::{path::PathBuf, time::Duration};

use peral_model::{AccountId, ContentId, FileName, Record, Visibility};
use peral_wire::{ErrorCode, Failure, Sealed, fail, keys::Verifier, rest::files::Sources};

/// What to download, and to where.
pub struct DownloadSpec {
    /// The file version, as signed.
    pub record: Sealed<Record>,
    /// The peers that have it, and the right to it.
    pub sources: Sources,
    /// Checks the signatures of envelopes.
    pub verifier: Verifier,
    /// The file to write.
    pub path: PathBuf,
    /// Replace the file at this path.
    pub overwrite: bool,
    /// How long to wait for a holder that is offline.
    pub wait: Duration,
}

/// What to upload, and what its record must say in the end.
pub struct UploadSpec {
    /// The file on this machine, absolute.
    pub path: PathBuf,
    /// Only this command can read the file.
    pub once: bool,
    /// Its size, as it was asked for.
    pub size: u64,
    /// The name to publish.
    pub name: FileName,
    /// Its owner.
    pub owner: AccountId,
    /// Who may read it.
    pub visibility: Visibility,
    /// Number of the version that it replaces; 0 for a new file.
    pub replaces: u64,
    /// Checks the signatures of envelopes.
    pub verifier: Verifier,
}

impl UploadSpec {
    /// A failure of an upload, in words that help its user.
    pub fn explain(&self, failure: Failure) -> Failure {
        let name = self.name.as_str();
        match failure.code {
            ErrorCode::VersionConflict if self.replaces == 0 => {
                Failure { detail: name_exists(name).detail, ..failure }
            }
            ErrorCode::VersionConflict => Failure {
                detail: format!(
                    "somebody else published {name:?} in the meantime: check it with `peral \
                     access NAME`, then upload again with --replace"
                ),
                ..failure
            },
            _ => failure,
        }
    }

    /// Accepts the record only if it says what was asked for.
    ///
    /// # Errors
    /// INTEGRITY, naming what differs.
    pub fn check(&self, record: &Record, hash: ContentId) -> Result<(), Failure> {
        let differs = [
            ("name", record.name != self.name),
            ("size", record.content.size != self.size),
            ("content", record.content.hash != hash),
            ("owner", record.owner != self.owner),
            ("visibility", record.visibility != self.visibility),
            // Uploading the current content again creates no new version.
            ("version", record.version < self.replaces),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => Err(fail!(
                Integrity,
                "the published record of {:?} has another {what} than the upload asked for",
                self.name.as_str()
            )),
        }
    }
}

/// The upload of an existing name.
pub fn name_exists(name: &str) -> Failure {
    fail!(
        VersionConflict,
        "the name {name:?} already exists: use --replace to publish a new version, or --name for \
         another name"
    )
}

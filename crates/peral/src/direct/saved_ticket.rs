//! Tickets of interrupted uploads: with the same ticket, the same command continues where the peer's
//! copy ends.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use peral_model::{ContentId, Ticket};
use peral_wire::{
    Sealed,
    keys::Verifier,
    rest::files::{NewUpload, Upload},
};

use crate::logins::StoredLogin;

/// A peer keeps an interrupted upload for a day; afterwards its ticket is useless.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A ticket that expires sooner is not used.
const MARGIN_MS: i64 = 60 * 1000;

/// The ticket of one upload, on disk.
pub struct SavedTicket {
    /// None where nothing is saved.
    path: Option<PathBuf>,
}

impl SavedTicket {
    /// The place for this upload of this file as it is now, by this session.
    pub fn new(
        folder: Option<&Path>,
        login: &StoredLogin,
        file: &Path,
        upload: &NewUpload,
    ) -> Self {
        let stamp = fs::metadata(file)
            .map(|facts| (facts.ino(), facts.dev(), facts.mtime(), facts.mtime_nsec()));
        let key = format!("{}\n{stamp:?}\n{file:?}\n{upload:?}", login.session);
        Self { path: folder.map(|folder| folder.join(ContentId::of(key.as_bytes()).to_string())) }
    }

    /// The saved ticket, if it can still be used.
    pub fn load(&self, verifier: &Verifier, now_ms: i64) -> Option<(Upload, Sealed<Ticket>)> {
        let upload: Upload = serde_json::from_slice(&fs::read(self.path.as_ref()?).ok()?).ok()?;
        let ticket = Sealed::<Ticket>::from_text(&upload.ticket, verifier).ok()?;
        (ticket.value.expires_ms > now_ms + MARGIN_MS).then_some((upload, ticket))
    }

    /// Saves a ticket, and deletes those that have expired. It only saves work, so an error is only
    /// logged.
    pub fn save(&self, upload: &Upload, now_ms: i64) {
        if let Err(error) = self.write(upload, now_ms) {
            tracing::debug!(%error, "could not save the ticket of this upload: after an interruption it starts again");
        }
    }

    fn write(&self, upload: &Upload, now_ms: i64) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
        for entry in fs::read_dir(folder)?.flatten() {
            let age = entry
                .metadata()
                .and_then(|facts| facts.modified())
                .map(|then| now.duration_since(then).unwrap_or_default());
            if age.is_ok_and(|age| age > DAY) {
                drop(fs::remove_file(entry.path()));
            }
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(upload)?)?;
        file.persist(path)?;
        Ok(())
    }

    /// Once the upload is done, or can never be.
    pub fn delete(&self) {
        if let Some(path) = &self.path {
            drop(fs::remove_file(path));
        }
    }
}

//! A right that was checked, and that can end while it is used.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use peral_model::{FileId, Identity};
use peral_runtime::{Lock, tls::PeerCertificate};
use peral_wire::{Failure, fail};

use super::callers::Callers;

/// What a caller is told of a file that is not here, and of one that it may not have: the same.
pub fn absent() -> Failure {
    fail!(NotFound, "this peer does not hold this file version")
}

/// What can end the open streams of a file.
#[derive(Debug, Default)]
struct Active {
    serial: AtomicU64,
    cut: AtomicBool,
}

/// Files with open streams. An entry lives as long as one of its permits.
#[derive(Debug, Default)]
pub struct OpenFiles(Mutex<HashMap<FileId, Weak<Active>>>);

impl OpenFiles {
    fn enter(&self, file: FileId) -> Arc<Active> {
        let mut files = self.0.locked();
        if let Some(active) = files.get(&file).and_then(Weak::upgrade) {
            return active;
        }
        // Cleaned up when it would grow anyway, so that it stays as small as the number of open
        // streams.
        if files.len() == files.capacity() {
            files.retain(|_, active| active.strong_count() > 0);
        }
        let active = Arc::new(Active::default());
        files.insert(file, Arc::downgrade(&active));
        active
    }

    fn get(&self, file: FileId) -> Option<Arc<Active>> {
        self.0.locked().get(&file).and_then(Weak::upgrade)
    }

    /// A higher serial was seen.
    pub fn raise(&self, file: FileId, serial: u64) {
        if let Some(active) = self.get(file) {
            active.serial.fetch_max(serial, Ordering::SeqCst);
        }
    }

    /// The file is gone.
    pub fn cut(&self, file: FileId) {
        if let Some(active) = self.get(file) {
            active.cut.store(true, Ordering::SeqCst);
        }
    }
}

/// A right to read one file version, until something ends it: ask [`Permit::check`] before each
/// piece.
pub struct Permit {
    callers: Arc<Callers>,
    active: Arc<Active>,
    serial: u64,
    identity: Identity,
    not_after_ms: i64,
    generation: AtomicU64,
}

impl Permit {
    pub(super) fn new(
        callers: Arc<Callers>,
        caller: &PeerCertificate,
        files: &OpenFiles,
        file: FileId,
    ) -> Self {
        let active = files.enter(file);
        // Zero: the first check looks at the revocations.
        Self {
            callers,
            active,
            serial: 0,
            identity: caller.identity,
            not_after_ms: caller.not_after_ms,
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn at(&mut self, serial: u64) {
        self.serial = serial;
    }

    /// Whether the right still holds. Cheap: no lock, no disk.
    ///
    /// # Errors
    /// NOT_FOUND when the file's rights changed or it is gone; UNAUTHENTICATED when the caller was
    /// revoked; SUPERSEDED.
    pub fn check(&self) -> Result<(), Failure> {
        self.callers.may_serve()?;
        if self.active.cut.load(Ordering::SeqCst)
            || self.active.serial.load(Ordering::SeqCst) > self.serial
        {
            return Err(absent());
        }
        let generation = self.callers.generation();
        if generation != self.generation.load(Ordering::Relaxed)
            || self.callers.has_expired(self.not_after_ms)
        {
            self.callers.admits(self.identity, self.not_after_ms)?;
            self.generation.store(generation, Ordering::Relaxed);
        }
        Ok(())
    }
}

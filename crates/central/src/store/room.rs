//! Whether there is room to write.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Result, StoreError};

/// Whether the last write found no room.
#[derive(Default)]
pub(super) struct Room {
    full: AtomicBool,
}

impl Room {
    /// Takes notice of how a write ended; the log says it once.
    pub(super) fn note<T>(&self, written: &Result<T>) {
        match written {
            Err(StoreError::Full(reason)) => {
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(%reason, "the database has no room left: make room on its \
                        disk, nothing can be \
                        written until then");
                }
            }
            Ok(_) => {
                if self.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("the database has room again");
                }
            }
            Err(_) => {}
        }
    }

    /// No write worked since one found no room.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

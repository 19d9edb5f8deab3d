//! Faults of the database, told apart by what they mean.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::error::{DatabaseError, ErrorKind};

use super::{Result, StoreError, Taken};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(fault) => {
                from_database(fault.as_ref()).unwrap_or(Self::Database(error))
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            _ => Self::Database(error),
        }
    }
}

fn from_database(fault: &dyn DatabaseError) -> Option<StoreError> {
    match fault.kind() {
        ErrorKind::UniqueViolation => return Some(StoreError::Conflict(taken(fault))),
        // Rows that are named were there a moment ago: somebody removed them in between.
        ErrorKind::ForeignKeyViolation => return Some(StoreError::Raced),
        _ => {}
    }
    let code = fault.code()?;
    match code.as_ref() {
        "40001" | "40P01" => Some(StoreError::Raced),
        // Lock and statement timeouts, shutdowns, too many connections; SQLite's BUSY and LOCKED.
        "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "53300" | "25P03" | "5" | "6" | "261"
        | "517" => Some(unavailable(fault)),
        // SQLite's FULL, and what it says when its shared memory cannot grow; Postgres' disk_full.
        "13" | "4874" | "53100" => Some(StoreError::Full(fault.message().to_owned())),
        other if other.starts_with("08") => Some(unavailable(fault)),
        _ => None,
    }
}

fn unavailable(fault: &dyn DatabaseError) -> StoreError {
    StoreError::Unavailable(fault.message().to_owned())
}

fn taken(fault: &dyn DatabaseError) -> Taken {
    // Postgres names the constraint, SQLite the column.
    let what = fault.constraint().unwrap_or(fault.message());
    match what {
        _ if what.contains("accounts_name") || what.contains("accounts.name") => Taken::AccountName,
        _ if what.contains("groups_name") || what.contains("groups.name") => Taken::GroupName,
        _ => Taken::Other,
    }
}

/// Whether the last write found no room.
#[derive(Default)]
pub(super) struct DiskWatch {
    full: AtomicBool,
}

impl DiskWatch {
    /// Takes notice of how a write ended; the log says it once.
    pub(super) fn note<T>(&self, written: &Result<T>) {
        match written {
            Err(StoreError::Full(reason)) => {
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        %reason,
                        "the disk of the database is full: writes fail until there is room on it"
                    );
                }
            }
            Ok(_) => {
                if self.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("the disk of the database has room again; writes work");
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

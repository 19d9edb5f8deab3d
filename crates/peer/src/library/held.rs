//! What this peer can serve: file versions on its disk, whole or arriving.

use std::{path::PathBuf, sync::Arc};

use peral_model::Record;
use peral_transfer::{Holder, Stamp};
use peral_wire::{Failure, Sealed};

/// A file version that this peer holds whole, as its database says.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its record, with the highest serial known here.
    pub record: Sealed<Record>,
    /// Where it is: absolute, without symlinks.
    pub path: PathBuf,
    /// What the disk said of it when it was hashed.
    pub stamp: Stamp,
    /// A download wrote it.
    pub fetched: bool,
}

impl Held {
    /// Opens it for reading, through no symlink. Blocks for as long as an open takes.
    ///
    /// # Errors
    /// CHANGED when it is gone or not what was indexed.
    pub fn open(&self) -> Result<Holder, Failure> {
        Holder::whole(self.record.clone(), &self.path, self.stamp)
    }
}

/// A file version that can be served.
#[derive(Debug, Clone)]
pub enum Offer {
    /// Held whole; not open yet.
    Whole(Box<Held>),
    /// A running download writes it: the pieces that it has verified can be served.
    Arriving(Arc<Holder>),
}

impl Offer {
    /// Its record.
    pub fn record(&self) -> &Sealed<Record> {
        match self {
            Self::Whole(held) => &held.record,
            Self::Arriving(holder) => holder.record(),
        }
    }

    /// Opens it for reading. Blocks for as long as an open takes.
    ///
    /// # Errors
    /// CHANGED when it is gone or not what was indexed.
    pub fn open(&self) -> Result<Arc<Holder>, Failure> {
        match self {
            Self::Whole(held) => held.open().map(Arc::new),
            Self::Arriving(holder) => Ok(Arc::clone(holder)),
        }
    }
}

//! A file version while it arrives: its bytes on disk, the list that proves them, and the pieces
//! that are there, for all who want to know.

use std::{io, sync::Arc};

use bytes::Bytes;
use peral_model::{Bitmap, Record};
use peral_wire::{Failure, Sealed};
use tokio::sync::watch;

use super::partial::Partial;
use crate::{holder::Holder, lists::PieceList};

/// What the streams of one fetch write to.
pub(super) struct Arriving {
    pub list: PieceList,
    partial: Arc<Partial>,
    have: watch::Sender<Bitmap>,
}

impl Arriving {
    /// With the pieces that were verified before.
    pub fn new(partial: Arc<Partial>, list: PieceList, done: Bitmap) -> Self {
        Self { list, partial, have: watch::Sender::new(done) }
    }

    /// The same for those who read it.
    ///
    /// # Errors
    /// The system gives no second handle of the file.
    pub fn holder(&self, record: &Sealed<Record>) -> io::Result<Holder> {
        let file = self.partial.reader()?;
        Ok(Holder::partial(record.clone(), file, self.list.clone(), self.have.subscribe()))
    }

    /// The pieces that are there now.
    pub fn done(&self) -> Bitmap {
        self.have.borrow().clone()
    }

    /// Writes a verified piece. From now on it is there for others too. Blocks.
    pub fn write(&self, index: u64, parts: &[Bytes]) -> Result<(), Failure> {
        self.partial.write(index, parts)?;
        self.have.send_if_modified(|have| have.set(index, true));
        Ok(())
    }
}

//! Limits for the number of open streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use peral_model::Identity;
use peral_runtime::Lock;
use peral_wire::{Failure, fail};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts open streams, for each identity and in all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    most: usize,
    most_each: usize,
    pieces_each: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// Holds only identities with streams, so never more rows than there are streams.
    each: HashMap<Identity, Each>,
}

#[derive(Debug)]
struct Each {
    streams: usize,
    pieces: Arc<Semaphore>,
}

/// One open stream, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    identity: Identity,
    open: Arc<Mutex<Open>>,
    pieces: Arc<Semaphore>,
}

impl Slots {
    /// At most `most` streams, and of one identity `most_each` streams with `pieces_each` pieces in
    /// memory.
    pub fn new(most: usize, most_each: usize, pieces_each: usize) -> Self {
        Self { most, most_each, pieces_each, open: Arc::default() }
    }

    /// Takes a slot for one more stream.
    ///
    /// # Errors
    /// BUSY.
    pub fn take(&self, identity: Identity) -> Result<Slot, Failure> {
        let mut open = self.open.locked();
        if open.all >= self.most {
            return Err(fail!(
                Busy,
                "this peer is at its limit of {} open streams; try again later or ask another \
                 peer",
                open.all
            ));
        }
        let each = open.each.entry(identity);
        let each = each.or_insert_with(|| Each {
            streams: 0,
            pieces: Arc::new(Semaphore::new(self.pieces_each)),
        });
        if each.streams >= self.most_each {
            return Err(fail!(
                Busy,
                "{identity} is at its limit of {} open streams on this peer; wait until one ends",
                each.streams
            ));
        }
        each.streams += 1;
        let pieces = Arc::clone(&each.pieces);
        open.all += 1;
        Ok(Slot { identity, open: Arc::clone(&self.open), pieces })
    }

    /// Streams that are open now.
    pub fn open(&self) -> usize {
        self.open.locked().all
    }
}

impl Slot {
    /// Waits until one more piece of this identity may be in memory.
    #[expect(clippy::expect_used, reason = "see the message")]
    pub async fn piece(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.pieces).acquire_owned().await.expect("the semaphore is never closed")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.locked();
        open.all = open.all.saturating_sub(1);
        let Some(each) = open.each.get_mut(&self.identity) else { return };
        each.streams = each.streams.saturating_sub(1);
        if each.streams == 0 {
            open.each.remove(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use peral_model::PeerId;
    use peral_wire::ErrorCode;
    use uuid::Uuid;

    use super::*;

    fn peer(number: u128) -> Identity {
        Identity::Peer(PeerId(Uuid::from_u128(number)))
    }

    #[test]
    fn one_identity_cannot_take_all_and_room_comes_back() {
        let slots = Slots::new(3, 2, 1);
        let busy =
            |slots: &Slots, who| slots.take(who).map(drop).unwrap_err().code == ErrorCode::Busy;
        let (first, _second) = (slots.take(peer(1)).unwrap(), slots.take(peer(1)).unwrap());
        assert!(busy(&slots, peer(1)));
        let _other = slots.take(peer(2)).unwrap();
        assert!(busy(&slots, peer(3)), "three are open in all");
        drop(first);
        assert!(slots.take(peer(1)).is_ok());
        assert_eq!(slots.open(), 2);
    }
}

//! Buffers for pieces that are being sent: reused, and limited in number.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use peral_model::pieces::PIECE;
use peral_runtime::Lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[expect(clippy::cast_possible_truncation, reason = "a piece is 1 MiB")]
const ROOM: usize = PIECE as usize;

/// A fixed number of buffers of one piece each. A caller that finds none waits: so a process never
/// has more bytes in flight than it was given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
    slots: Arc<Semaphore>,
}

/// A buffer of the pool, to be filled. It goes back when it is dropped, or when the last [`Bytes`]
/// made of it is.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
    _slot: OwnedSemaphorePermit,
    share: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool of at most `buffers` buffers, which are allocated when they are first needed.
    pub fn new(buffers: usize) -> Self {
        Self {
            idle: Arc::default(),
            slots: Arc::new(Semaphore::new(buffers.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// A buffer of `length` bytes (at most a piece; it holds bytes of others), as soon as one is
    /// free.
    #[expect(clippy::expect_used, reason = "see the message")]
    pub async fn take(&self, length: u64) -> Buffer {
        let slot =
            Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let kept = self.idle.locked().pop();
        let bytes = kept.unwrap_or_else(|| vec![0; ROOM]);
        let length = usize::try_from(length).map_or(ROOM, |length| length.min(ROOM));
        Buffer { bytes, length, idle: Arc::clone(&self.idle), _slot: slot, share: None }
    }

    /// Number of buffers that can be taken without waiting.
    pub fn free(&self) -> usize {
        self.slots.available_permits()
    }
}

impl Buffer {
    /// Counts against a caller's share for as long as it is in use.
    #[must_use]
    pub fn of_share(mut self, share: OwnedSemaphorePermit) -> Self {
        self.share = Some(share);
        self
    }

    /// The bytes, to be sent without a copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.idle.locked().push(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_buffer_comes_back_with_the_last_bytes_made_of_it() {
        let pool = Pool::new(1);
        let mut buffer = pool.take(3).await;
        buffer.as_mut().copy_from_slice(b"abc");
        let bytes = buffer.freeze();
        let part = bytes.slice(1..);
        drop(bytes);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), pool.take(1)).await.is_err(),
            "it is still in use"
        );
        assert_eq!(part, b"bc".as_slice());
        drop(part);
        let length = pool.take(5).await.as_ref().len();
        assert_eq!((length, pool.free()), (5, 1));
    }

    #[tokio::test]
    async fn a_length_beyond_a_piece_gives_a_piece() {
        assert_eq!(Pool::new(1).take(u64::MAX).await.as_ref().len(), ROOM);
    }
}

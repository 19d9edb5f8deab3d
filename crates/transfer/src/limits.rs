//! How much this process moves, and for whom.

mod rate;
mod slots;

use std::time::Duration;

pub use rate::Rate;
pub use slots::{Slot, Slots};

use crate::pool::Pool;

/// Streams that one identity may have open at a time.
pub const STREAMS_PER_IDENTITY: usize = 16;
/// Streams that are open at a time, of all identities.
pub const STREAMS: usize = 256;
/// Pieces on their way out of this process, in memory.
pub const PIECES_OUT: usize = 48;
/// Of these, pieces on their way to one identity: who does not take what it asked for holds up
/// itself first.
pub const PIECES_PER_IDENTITY: usize = 12;
/// How long a stream may stand still before it is ended.
pub const IDLE: Duration = Duration::from_secs(30);

/// What an operator sets: bytes per second, 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Bytes sent to others.
    pub upload: u64,
    /// Bytes taken from others.
    pub download: u64,
}

/// The limits of one process. Cheap to clone; clones share what is left.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes sent to others.
    pub upload: Rate,
    /// Bytes taken from others.
    pub download: Rate,
    /// Buffers of what is sent: bounds the memory of all streams together.
    pub pool: Pool,
    /// Who has how many streams open.
    pub slots: Slots,
}

impl Limits {
    /// Limits with these rates, and the usual numbers of streams and buffers.
    pub fn new(rates: Rates) -> Self {
        Self {
            upload: Rate::new(rates.upload),
            download: Rate::new(rates.download),
            pool: Pool::new(PIECES_OUT),
            slots: Slots::new(STREAMS, STREAMS_PER_IDENTITY, PIECES_PER_IDENTITY),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Rates::default())
    }
}

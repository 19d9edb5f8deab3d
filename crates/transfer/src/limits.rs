//! Limits of this process: rates, streams and buffers.

mod rate;
mod slots;

use std::time::Duration;

pub use rate::Rate;
pub use slots::{Slot, Slots};

use crate::pool::Pool;

/// Maximum number of open streams of one identity.
pub const STREAMS_PER_IDENTITY: usize = 16;
/// Maximum number of open streams of all identities.
pub const STREAMS: usize = 256;
/// Maximum number of pieces in memory that are being sent.
pub const PIECES_OUT: usize = 48;
/// Maximum number of these to one identity: a receiver that does not read slows down itself first.
pub const PIECES_PER_IDENTITY: usize = 12;
/// How long a stream may be idle before it is ended.
pub const IDLE: Duration = Duration::from_secs(30);

/// Configured limits in bytes per second; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Bytes sent to others.
    pub upload: u64,
    /// Bytes received from others.
    pub download: u64,
}

/// The limits of one process. Cheap to clone; clones share the limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes sent to others.
    pub upload: Rate,
    /// Bytes received from others.
    pub download: Rate,
    /// Buffers for what is sent: bounds the memory of all streams together.
    pub pool: Pool,
    /// Counts the open streams of each identity.
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

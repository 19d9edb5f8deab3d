//! The progress of a transfer.

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No source can be asked; waits for holders that are offline.
    Waiting,
    /// Hashes again what was there before.
    Hashing,
    /// Pieces are being transferred.
    Moving,
    /// An upload is complete on the peer, and is being published.
    Publishing,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes that are there and verified.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Of those, bytes that came over the network this time.
    pub fetched: u64,
    /// Sources in use.
    pub sources: u32,
}

/// Receives the progress of a transfer, in the transfer's task: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// The progress, at most ten times a second.
    fn progress(&self, progress: &Progress);
    /// A note for the user.
    fn note(&self, text: &str);
}

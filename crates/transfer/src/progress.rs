//! How a transfer tells how far it is.

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No source can be asked; holders that are away are waited for.
    Waiting,
    /// What was there from before is hashed again.
    Hashing,
    /// Pieces move.
    Moving,
    /// An upload is whole on the peer, and is being published.
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
    /// Of those done, bytes that came over the network this time.
    pub fetched: u64,
    /// Sources that are asked now.
    pub sources: u32,
}

/// Is told how a transfer goes. Called from the transfer's task: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// How far it is; at most ten times a second.
    fn progress(&self, progress: &Progress);
    /// Something that a person should know.
    fn note(&self, text: &str);
}

//! The form of a message with a piece, for both ends.

/// Bytes before each message: compressed or not, and the length.
pub(super) const PREFIX: usize = 5;

/// Field numbers of `Piece`.
pub(super) const INDEX: u32 = 1;
pub(super) const DATA: u32 = 2;

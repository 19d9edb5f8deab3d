//! The form of a message with a piece, for both ends.

/// Most bytes of a message with a piece: the piece itself, and room for fields that later versions
/// add.
pub const MAX_MESSAGE: usize = (1 << 20) + 64 * 1024;

/// Bytes before each message: compressed or not, and the length.
pub(super) const PREFIX: usize = 5;

/// Field numbers of `Piece`.
pub(super) const INDEX: u32 = 1;
pub(super) const DATA: u32 = 2;

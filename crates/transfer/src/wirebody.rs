//! gRPC streams of `Piece` without copies, on both ends. On the wire they are what any gRPC library
//! writes and reads.
//!
//! A message of the stream: one byte (0: not compressed), four bytes of length, then the protobuf
//! fields of `Piece`. The sender puts the few bytes before the data in a frame of their own and
//! hands the data on as it was read; the receiver takes the data as the transport's own buffers. A
//! generated codec would copy a piece once on each end. The stream ends with trailers:
//! `grpc-status`, and our own code.

mod format;
mod receive;
mod send;
#[cfg(test)]
mod tests;

pub use receive::{ReceivedPiece, Receiver, message_of, request};
pub use send::{PieceBody, SentPiece};

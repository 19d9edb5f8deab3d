//! What processes of Peral say to each other: protobuf, REST bodies, error codes, and the typed
//! clients of central and of a peer.

pub mod catalogue;
pub mod code;
pub mod convert;
pub mod envelope;
pub mod failure;
pub mod keys;
pub mod pb;
pub mod peer;
pub mod proof;
pub mod rest;

pub use catalogue::Catalogue;
pub use code::{Class, ErrorCode};
pub use envelope::Sealed;
pub use failure::Failure;
pub use peer::PeerClient;

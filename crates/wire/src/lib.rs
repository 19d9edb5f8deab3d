//! What Peral says: protobuf, REST bodies, error codes, and the typed client of central.

pub mod catalogue;
pub mod code;
pub mod convert;
pub mod envelope;
pub mod failure;
pub mod keys;
pub mod pb;
pub mod proof;
pub mod rest;

pub use catalogue::Catalogue;
pub use code::{Class, ErrorCode};
pub use envelope::Sealed;
pub use failure::Failure;

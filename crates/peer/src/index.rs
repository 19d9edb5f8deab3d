//! The indexer: what is in the shares, hashed once and again only when it changed.

pub mod steady;

pub use steady::{hash_steady, hash_when_steady};

//! The peer: a node that stores files, serves them to others and fetches them.

pub mod data;
pub mod db;
pub mod dial;
pub mod hashing;
pub mod index;
pub mod library;
pub mod limits;
pub mod link;
pub mod lists;
pub mod pool;
pub mod rights;
pub mod trust;
pub mod wirebody;

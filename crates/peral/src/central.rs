//! The way to central: its address, and first contact.

mod address;
mod contact;

pub use address::{address, is_local};
pub use contact::{Contact, FirstContactArgs, catalogue, known};

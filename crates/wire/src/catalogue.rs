//! The typed client of central's REST interface.

mod calls;
mod client;

pub use calls::Search;
pub use client::Catalogue;

//! The rules of Peral without I/O: names, hashes, piece lists, rights, the download plan.
//!
//! Pure: no I/O, no clock, no async runtime. Everything here can be tested by calling it.

pub mod bitmap;
pub mod content;
pub mod event;
pub mod file;
pub mod id;
pub mod name;
pub mod pieces;
pub mod plan;
pub mod search;

pub use bitmap::Bitmap;
pub use content::{Content, ContentId};
pub use file::{Grant, Record, Ticket, Verb, Visibility};
pub use id::{
    AccountId, FileId, GroupId, Identity, NetworkId, PeerId, SessionId, ShareId, TokenId, UploadId,
};
pub use name::FileName;

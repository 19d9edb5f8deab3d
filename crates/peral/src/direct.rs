//! What a command does itself where no peer runs on this machine: the same engine as a peer's, with
//! the user's own certificate.

mod connector;
mod download;
mod peer;
mod progress;
mod saved_ticket;
mod spec;
mod upload;

pub use download::download;
pub use peer::{ListedFile, PeerQuery, echo, list};
pub use spec::{DownloadSpec, UploadSpec, name_exists};
pub use upload::upload;

//! Safe files: opened without following links, written so that a crash leaves the old one or the
//! new one, and with refusals that say what to do. Everything here blocks.

mod failure;
mod folder;
mod open;

pub use self::{
    failure::failed,
    folder::{private_folder, sync_folder, write_private},
    open::open_plain,
};

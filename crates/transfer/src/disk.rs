//! Safe files: opened without following links, written so that a crash leaves the old one or the
//! new one, and with refusals that say what to do. Everything here blocks.
//!
//! [`Disk`] is the one place where fetches, landings and uploads write, copy, link, rename and make
//! durable. Tests give them one that fails.

mod copy;
mod failure;
mod folder;
mod handle;
mod open;
mod place;
mod private;
mod rehash;

pub use self::{
    failure::{failed, is_full, refused},
    folder::OpenFolder,
    handle::{Disk, Operation},
    open::{open_plain, open_private},
    place::{Existing, mode_of_new_files},
    private::{private_folder, write_private},
    rehash::recheck,
};

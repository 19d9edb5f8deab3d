//! The commands of users, one module each.

pub mod access;
mod args;
pub mod cancel;
pub mod download;
pub mod echo;
pub mod group;
pub mod help;
pub mod login;
pub mod logout;
pub mod ls;
pub mod passwd;
pub mod peers;
pub mod revoke;
pub mod rm;
pub mod search;
pub mod share;
pub mod status;
pub mod token;
pub mod upload;
pub mod user;
pub mod whoami;

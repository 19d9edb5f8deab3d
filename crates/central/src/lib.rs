//! The central server: catalogue, accounts and rights. It never carries content.

pub mod address;
pub mod args;
mod certificate;
pub mod config;
pub mod http;
pub mod init;
pub mod keys;
mod limit;
mod nonce;
mod password;
mod server;
pub mod service;
pub mod store;
mod token;

pub use args::{CentralArgs, CentralCommand};
pub use config::{Config, Limits};
pub use http::{Class, Route, routes};
pub use init::{Initialized, fingerprint, has_network, init};
pub use server::Central;

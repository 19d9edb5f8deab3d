//! The central server: catalogue, accounts and rights. It never carries content.

pub mod address;
pub mod args;
mod certificate;
mod cluster;
pub mod config;
pub mod http;
pub mod init;
pub mod keys;
mod limit;
mod nonce;
mod password;
mod pods;
pub mod provision;
mod server;
pub mod service;
pub mod store;
mod token;

pub use args::{CentralArgs, CentralCommand};
pub use config::{Config, Kubernetes, Limits};
pub use http::{Class, Route, routes};
pub use init::{Initialized, fingerprint, has_network, init};
pub use provision::{KeysArgs, make_keys};
pub use server::Central;

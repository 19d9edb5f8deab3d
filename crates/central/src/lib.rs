//! The central server: catalogue, accounts and rights. It never carries content.

mod address;
mod args;
mod certificate;
mod cluster;
mod config;
mod database;
mod http;
mod init;
mod keys;
mod limit;
mod nonce;
mod password;
mod pods;
mod provision;
mod secret;
mod server;
mod service;
// Public for the tests of its contract alone.
#[doc(hidden)]
pub mod store;
mod token;
mod worker;

pub use args::{CentralArgs, CentralCommand, RunArgs};
pub use config::{Config, GivenTls, Kubernetes, Limits};
pub use http::{Route, RouteAccess, document, routes};
pub use init::{Initialized, fingerprint, has_network, init};
pub use keys::Keys;
pub use provision::{
    KeysArgs, ObjectOutcome, Provisioned, ProvisionedObject, create_keys, provision,
};
pub use server::Central;
pub use token::Subject;

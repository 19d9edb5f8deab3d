//! The database that the configuration names.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use peral_model::NetworkId;
use peral_wire::{Failure, fail};
use secrecy::ExposeSecret;

use crate::{
    config::Config,
    store::{self, SharedStore, StoreError},
};

/// Maximum number of connections to the database.
const CONNECTIONS: u32 = 16;

/// Opens the database once.
pub(crate) async fn open_store(
    config: &Config,
    network: Option<NetworkId>,
) -> Result<SharedStore, StoreError> {
    let options = store::Options {
        url: config.database().expose_secret().to_owned(),
        connections: CONNECTIONS,
        network,
    };
    store::open(&options).await
}

/// Creates central's folder, if anything will be in it, and the SQLite file, if that is the
/// database: only this user may read it, because it holds password hashes.
pub(crate) fn create_data_folder(config: &Config) -> Result<(), Failure> {
    if config.given_keys.is_some() && config.database_url.is_some() {
        return Ok(());
    }
    let failed = |path: &Path, error: std::io::Error| {
        fail!(Internal, "cannot create {}: {error}", path.display())
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .map_err(|error| failed(&config.data, error))?;
    if config.database_url.is_none() {
        let file = config.database_file();
        // SQLite gives its other files the permissions of this one.
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&file)
            .map_err(|error| failed(&file, error))?;
    }
    Ok(())
}

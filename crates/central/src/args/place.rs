//! Arguments that say where central keeps its data.

use std::path::PathBuf;

use clap::Args;
use etcetera::BaseStrategy;
use peral_wire::{Failure, fail};
use secrecy::SecretString;

use crate::{config::Config, secret::secret_line};

/// Where central keeps its data.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Folder for central's keys and its SQLite file [default: peral/central in the user's data
    /// folder]
    #[arg(long, env = "PERAL_CENTRAL_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder with existing keys, such as a mounted Secret [default: keys in the folder of central,
    /// which creates them]
    #[arg(long, env = "PERAL_CENTRAL_KEYS", value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// URL of the database: postgres://… or sqlite://… [default: central.db in the folder of
    /// central]
    #[arg(long, env = "PERAL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// File with the URL of the database
    #[arg(
        long,
        env = "PERAL_DATABASE_URL_FILE",
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    pub database_url_file: Option<PathBuf>,
}

impl PlaceArgs {
    /// The default configuration for this place.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: the folder is unknown, or the file cannot be read.
    pub fn config(self) -> Result<Config, Failure> {
        let data = match self.data {
            Some(data) => data,
            None => default_data()?,
        };
        let from_file = self.database_url_file.as_deref().map(secret_line).transpose()?;
        Ok(Config {
            database_url: self.database_url.or(from_file),
            given_keys: self.keys,
            ..Config::new(data)
        })
    }
}

fn default_data() -> Result<PathBuf, Failure> {
    let base = etcetera::choose_base_strategy();
    base.map(|base| base.data_dir().join("peral/central")).map_err(|error| {
        fail!(InvalidArgument, "cannot find the data folder of this user: {error}; give --data")
    })
}

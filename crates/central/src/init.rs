//! `central init`: creates the keys, the database and the first administrator, once.

use std::fmt;

use peral_model::NetworkId;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    config::Config,
    database::{create_data_folder, open_store},
    keys::Keys,
    password,
    service::App,
};

/// The new network.
#[derive(Debug, Clone, Serialize)]
pub struct Initialized {
    /// Id of the network.
    pub network: NetworkId,
    /// Fingerprint of its authority, to be compared at first contact.
    pub fingerprint: String,
    /// Name of the first administrator.
    pub administrator: String,
    /// Central's folder.
    pub data: String,
}

impl fmt::Display for Initialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, fingerprint, administrator, data } = self;
        writeln!(f, "Network      {network}")?;
        writeln!(f, "Fingerprint  {fingerprint}")?;
        writeln!(f, "Folder       {data}")?;
        writeln!(f)?;
        writeln!(f, "Start central:           peral central --data {data}")?;
        writeln!(
            f,
            "Log in from anywhere:    peral login --central https://HOST:7070 --account \
             {administrator} --ca-fingerprint {fingerprint}"
        )?;
        writeln!(f, "Create peers' account:   peral user add peers --no-password")?;
        write!(f, "Let a peer join:         peral token join --account peers")
    }
}

/// Creates the keys, the database and the first administrator.
///
/// # Errors
/// ALREADY_EXISTS: an administrator exists. WEAK_PASSWORD, INVALID_ARGUMENT, UNAVAILABLE.
pub async fn init(
    config: Config,
    administrator: &str,
    password: &SecretString,
    clock: SharedClock,
) -> Result<Initialized, Failure> {
    password::good_enough(password, administrator)?;
    create_data_folder(&config)?;
    let known = Keys::known(&config)?;
    let store = open_store(&config, known.as_ref().map(|keys| keys.network))
        .await
        .map_err(|error| fail!(Unavailable, "{error}"))?;
    let keys = known.map_or_else(
        || Keys::open_or_create(&config.keys(), store.network(), clock.now_ms()),
        Ok,
    )?;
    if keys.network != store.network() {
        return Err(fail!(
            AlreadyExists,
            "the keys in {} belong to another network than the database; use an empty folder, or \
             the database that belongs to these keys",
            config.keys().display()
        ));
    }
    let done = Initialized {
        network: keys.network,
        fingerprint: keys.authority.fingerprint(),
        administrator: administrator.to_owned(),
        data: config.data.display().to_string(),
    };
    let app = App::new(config, keys, clock)?;
    app.open(store.clone());
    let made = app.create_first_administrator(administrator, password).await;
    store.close().await;
    match made? {
        Some(_) => Ok(done),
        None => Err(fail!(
            AlreadyExists,
            "an administrator exists already; log in as an administrator and use `peral user add`"
        )),
    }
}

/// Checks that a network exists: its keys, or a bootstrap file with the first administrator of a
/// new network.
///
/// # Errors
/// INVALID_ARGUMENT: neither exists. Nobody could log in to a network created now.
pub fn has_network(config: &Config) -> Result<(), Failure> {
    if config.given_keys.is_some() || config.keys().exists() || config.bootstrap_file.is_some() {
        return Ok(());
    }
    let data = config.data.display();
    Err(fail!(
        InvalidArgument,
        "no network exists in {data}; create one with `peral central init --data {data} --admin \
         NAME`"
    ))
}

/// The fingerprint of the network's authority.
///
/// # Errors
/// The keys do not exist or cannot be used.
pub fn fingerprint(config: &Config) -> Result<String, Failure> {
    let missing = || {
        fail!(
            NotFound,
            "{} does not exist: run `peral central init` first",
            config.keys().display()
        )
    };
    Ok(Keys::known(config)?.ok_or_else(missing)?.authority.fingerprint())
}

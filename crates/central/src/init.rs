//! `central init`: keys, database and first administrator, made once.

use std::fmt;

use peral_model::NetworkId;
use peral_runtime::SharedClock;
use peral_wire::{Failure, fail};
use secrecy::SecretString;
use serde::Serialize;

use crate::{
    config::Config,
    database::{make_data_folder, open_store},
    keys::Keys,
    password,
    service::App,
};

/// What init made.
#[derive(Debug, Clone, Serialize)]
pub struct Initialized {
    /// Id of the network.
    pub network: NetworkId,
    /// Fingerprint of its authority: what others compare at first contact.
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
        writeln!(f, "Start central:            peral central --data {data}")?;
        writeln!(
            f,
            "Log in from anywhere:     peral login --central https://HOST:7070 --account \
             {administrator} --ca-fingerprint {fingerprint}"
        )?;
        writeln!(f, "Make peers an account:    peral user add peers --no-password")?;
        write!(f, "Let a peer join:          peral token join --account peers")
    }
}

/// Makes keys, database and the first administrator.
///
/// # Errors
/// ALREADY_EXISTS: there is an administrator. WEAK_PASSWORD, INVALID_ARGUMENT, UNAVAILABLE.
pub async fn init(
    config: Config,
    administrator: &str,
    password: &SecretString,
    clock: SharedClock,
) -> Result<Initialized, Failure> {
    password::good_enough(password, administrator)?;
    make_data_folder(&config)?;
    let known = Keys::known(&config)?;
    let store = open_store(&config, known.as_ref().map(|keys| keys.network))
        .await
        .map_err(|error| fail!(Unavailable, "{error}"))?;
    let keys = known
        .map_or_else(|| Keys::open_or_make(&config.keys(), store.network(), clock.now_ms()), Ok)?;
    if keys.network != store.network() {
        return Err(fail!(
            AlreadyExists,
            "the keys in {} are of another network than the database; give an empty folder, or \
             the database that belongs to it",
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
    let made = app.add_first_administrator(administrator, password).await;
    store.close().await;
    match made? {
        Some(_) => Ok(done),
        None => Err(fail!(
            AlreadyExists,
            "there is an administrator already; log in as one, and use `peral user add`"
        )),
    }
}

/// Checks that there is a network to run: its keys, or a bootstrap file to make the first
/// administrator of a new one.
///
/// # Errors
/// INVALID_ARGUMENT: neither is there. A network made now would have nobody who could log in.
pub fn has_network(config: &Config) -> Result<(), Failure> {
    if config.given_keys.is_some() || config.keys().exists() || config.bootstrap_file.is_some() {
        return Ok(());
    }
    let data = config.data.display();
    Err(fail!(
        InvalidArgument,
        "there is no network in {data}; make one with `peral central init --data {data} --admin \
         NAME`"
    ))
}

/// The fingerprint of the network's authority.
///
/// # Errors
/// The keys are not there or cannot be used.
pub fn fingerprint(config: &Config) -> Result<String, Failure> {
    let missing = || {
        fail!(NotFound, "{} is not there: run `peral central init` first", config.keys().display())
    };
    Ok(Keys::known(config)?.ok_or_else(missing)?.authority.fingerprint())
}

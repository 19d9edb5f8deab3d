//! What a command has to work with.

use std::path::PathBuf;

use peral_peer::args::default_data;
use peral_runtime::{SharedClock, SystemClock};
use peral_wire::{Failure, fail};

use crate::{central, cli::Global, config, logins::LoginStore, output::Output};

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// The time.
    pub clock: SharedClock,
    /// Central, where it was named.
    pub central: Option<String>,
    /// Data folder of a peer that may run here.
    pub data: PathBuf,
    /// The user's logins.
    pub logins: LoginStore,
    /// Orders of uploads that were interrupted.
    pub uploads: PathBuf,
}

impl Context {
    /// From the flags of all commands.
    ///
    /// # Errors
    /// There is no home to keep logins in; central's address is none.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let clock = SystemClock::shared();
        let homeless = || fail!(InvalidArgument, "there is no home folder: set HOME, or PERAL_CONFIG_DIR");
        let data = global.peer_data().map_or_else(default_data, Ok)?;
        let folder = config::folder().ok_or_else(homeless)?;
        let central = global.central.as_deref().map(central::address).transpose()?;
        let (logins, uploads) = (LoginStore::new(&folder), folder.join("uploads"));
        Ok(Self { out: Output::new(global.output, clock.clone()), clock, central, data, logins, uploads })
    }
}

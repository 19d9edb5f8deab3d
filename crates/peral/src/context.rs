//! What a command has to work with.

use std::{path::PathBuf, sync::Arc};

use peral_peer::args::default_data;
use peral_runtime::{SharedClock, SystemClock};
use peral_wire::Failure;

use crate::{
    central::{self, FirstContact},
    cli::Global,
    config,
    logins::LoginStore,
    output::Output,
    session::TokenSession,
};

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// The time.
    pub clock: SharedClock,
    /// Central, where it was named.
    pub central: Option<String>,
    /// How central is known where no login and no peer knows it.
    pub first_contact: FirstContact,
    /// The session of this command alone, where it has an API token.
    pub token: Option<Arc<TokenSession>>,
    /// Data folder of a peer that may run here.
    pub data: Option<PathBuf>,
    /// The user's logins.
    pub logins: LoginStore,
    /// Tickets of uploads that were interrupted; nothing is kept where a command logs in for itself.
    pub uploads: Option<PathBuf>,
}

impl Context {
    /// From the flags of all commands.
    ///
    /// # Errors
    /// Central's address is none.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let clock = SystemClock::shared();
        let folder = config::folder();
        let token = global.token_file().map(|file| Arc::new(TokenSession::new(file)));
        Ok(Self {
            out: Output::new(global.output, clock.clone()),
            clock,
            central: global.central.as_deref().map(central::address).transpose()?,
            first_contact: global.first_contact(),
            data: global.peer_data().or_else(|| default_data().ok()),
            logins: LoginStore::new(folder.as_deref()),
            uploads: folder.filter(|_| token.is_none()).map(|folder| folder.join("uploads")),
            token,
        })
    }
}

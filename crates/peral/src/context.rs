//! What a command works with: its output, its account, the peer on this machine, and central.

use std::{path::PathBuf, sync::Arc};

use peral_peer::args::default_data;
use peral_runtime::{SharedClock, SystemClock};
use peral_wire::{Failure, fail};

use crate::{
    central::{self, Contact, FirstContactArgs},
    config,
    control::{ControlClient, LocalPeer, absence},
    global::Global,
    logins::{LoginStore, StoredLogin},
    output::Output,
    session::{AnySession, PeerSession, TokenSession, UserSession},
};

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    pub out: Output,
    pub clock: SharedClock,
    /// Address of central, if one was named.
    pub central: Option<String>,
    /// How to recognise a central that no login and no peer knows.
    pub first_contact: FirstContactArgs,
    /// The session of this command alone, if it has an API token.
    pub token: Option<Arc<TokenSession>>,
    /// Data folder of a peer that may run on this machine.
    pub data: Option<PathBuf>,
    /// The user's logins.
    pub logins: LoginStore,
    /// Folder for the tickets of interrupted uploads. None for a command with an API token: it
    /// writes nothing to disk.
    pub uploads: Option<PathBuf>,
}

impl Context {
    /// From the flags of all commands.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: the address of central is invalid.
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

    // === The account ===

    /// The user's session.
    ///
    /// # Errors
    /// UNAUTHENTICATED: nobody is logged in, or no longer. UNAVAILABLE: central is unreachable.
    pub async fn user_session(&self) -> Result<UserSession, Failure> {
        match self.find_user_session().await? {
            Some(user) => Ok(user),
            None if self.find_local_peer().await.is_some() => Err(self.users_only()),
            None => Err(self.not_logged_in()),
        }
    }

    /// The user's session, or else that of the peer on this machine.
    ///
    /// # Errors
    /// As [`Context::user_session`].
    pub async fn session(&self) -> Result<AnySession, Failure> {
        if let Some(user) = self.find_user_session().await? {
            return Ok(AnySession::User(Box::new(user)));
        }
        match self.find_local_peer().await {
            Some(control) => Ok(AnySession::Peer(Box::new(PeerSession::open(control).await?))),
            None => Err(self.not_logged_in()),
        }
    }

    /// By the API token of this command, or by the stored login.
    async fn find_user_session(&self) -> Result<Option<UserSession>, Failure> {
        if let Some(token) = &self.token {
            let contact = self.contact_central(&self.first_contact);
            return token.open(contact, self.clock.now_ms()).await.map(Some);
        }
        match self.login()? {
            Some(login) => self.open_login(login).await.map(Some),
            None => Ok(None),
        }
    }

    /// The stored login to the central that was named, or the only one.
    ///
    /// # Errors
    /// There are several, or it cannot be read.
    pub fn login(&self) -> Result<Option<StoredLogin>, Failure> {
        self.logins.find(self.central.as_deref())
    }

    /// The session of a stored login. Renewed credentials are stored.
    ///
    /// # Errors
    /// As [`Context::user_session`].
    pub async fn open_login(&self, login: StoredLogin) -> Result<UserSession, Failure> {
        let user = UserSession::open(login, self.clock.now_ms()).await?;
        if user.renewed {
            self.logins.save(&user.login)?;
        }
        Ok(user)
    }

    fn users_only(&self) -> Failure {
        let data = self.data.clone().unwrap_or_default();
        fail!(
            Unauthenticated,
            "you are not logged in, and the account of the local peer (data folder {}) is not \
             allowed to do this: log in as a user",
            data.display()
        )
    }

    fn not_logged_in(&self) -> Failure {
        match &self.central {
            Some(central) => fail!(Unauthenticated, "you are not logged in to {central}"),
            None => fail!(
                Unauthenticated,
                "you are not logged in, and there is no local peer whose account could be used"
            ),
        }
    }

    // === The peer on this machine ===

    /// The peer on this machine, if its socket answers.
    pub async fn find_local_peer(&self) -> Option<ControlClient> {
        ControlClient::find(self.data.as_deref()?).await
    }

    /// The peer on this machine.
    ///
    /// # Errors
    /// UNAVAILABLE: no peer runs here, or it is not ready; with the reason.
    pub async fn local_peer(&self) -> Result<ControlClient, Failure> {
        match self.find_local_peer().await {
            Some(control) => Ok(control),
            None => Err(absence(self.data.as_deref()).await),
        }
    }

    /// The peer on this machine that can work for a session, if there is one.
    ///
    /// # Errors
    /// The peer runs and cannot work: a command does not go around it.
    pub async fn local_peer_for(&self, session: &AnySession) -> Result<Option<LocalPeer>, Failure> {
        match session {
            AnySession::Peer(own) => {
                Ok(Some(LocalPeer { control: own.control.clone(), id: own.peer }))
            }
            AnySession::User(user) => {
                let Some(control) = self.find_local_peer().await else { return Ok(None) };
                let peer = LocalPeer::of_network(control, &user.login.network).await?;
                if peer.is_none() {
                    self.out.note("the local peer belongs to another network: working without it");
                }
                Ok(peer)
            }
        }
    }

    // === Central ===

    /// Central, before any login to it: the one that was named, the one logged in to before, or
    /// that of the peer on this machine.
    ///
    /// # Errors
    /// INVALID_ARGUMENT: nothing says which. As [`FirstContactArgs::meet`].
    pub async fn contact_central(&self, first: &FirstContactArgs) -> Result<Contact, Failure> {
        let named = self.central.clone().or_else(|| {
            let only = self.logins.find(None).ok().flatten();
            only.map(|login| login.central)
        });
        if first.is_empty() {
            if let Some(contact) = self.contact_of_login(named.as_deref())? {
                return Ok(contact);
            }
            if let Some(contact) = self.contact_of_local_peer(named.as_deref()).await? {
                return Ok(contact);
            }
        }
        let base = match named {
            Some(named) => named,
            None => self.central_of_local_peer().await?,
        };
        first.meet(&base).await
    }

    fn contact_of_login(&self, named: Option<&str>) -> Result<Option<Contact>, Failure> {
        let logins = self.logins.all().unwrap_or_default();
        let Some(login) = logins.into_iter().find(|login| Some(login.central.as_str()) == named)
        else {
            return Ok(None);
        };
        let catalogue = central::catalogue(&login.central, &login.network)?;
        Ok(Some(Contact { base: login.central, network: login.network, catalogue }))
    }

    async fn contact_of_local_peer(&self, named: Option<&str>) -> Result<Option<Contact>, Failure> {
        let Some(mut control) = self.find_local_peer().await else { return Ok(None) };
        let session = control.session().await?;
        let base = central::address(&session.central)?;
        match named {
            Some(named) if named != base => Ok(None),
            _ => central::known(&base, session.authority).await.map(Some),
        }
    }

    async fn central_of_local_peer(&self) -> Result<String, Failure> {
        match self.find_local_peer().await {
            Some(mut control) => central::address(&control.session().await?.central),
            None => Err(fail!(
                InvalidArgument,
                "the address of central is missing: pass --central https://HOST:7070 (or set \
                 PERAL_CENTRAL, or central in peral.toml)"
            )),
        }
    }
}

//! For whom a command acts: the account of an API token, or the user who logged in, or else the
//! account of the peer that runs here.

mod begin;
mod token;

use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{AccountId, Identity, PeerId};
use peral_runtime::tls::{self, KeyPkcs8Der};
use peral_wire::{Catalogue, Failure, convert, fail, proof::Proven, rest::sessions::RenewRequest};

pub use self::{begin::log_in, token::TokenSession};
use crate::{
    central,
    context::Context,
    control::{Control, Local},
    logins::Login,
};

/// A token that ends sooner is renewed first.
const TOKEN_MARGIN_MS: i64 = 2 * 60 * 1000;
/// A certificate too: transfers can take long, and connections are opened all the while.
const CERTIFICATE_MARGIN_MS: i64 = 60 * 60 * 1000;

/// A user's session with central.
pub struct UserSession {
    /// The login, renewed.
    pub login: Login,
    /// Central, with the login's token.
    pub catalogue: Catalogue,
}

/// Who asks central.
pub enum Session {
    /// The user.
    User(Box<UserSession>),
    /// The account of the peer here.
    Peer(Box<PeerSession>),
}

/// A peer's token, from its socket.
pub struct PeerSession {
    /// The peer.
    pub peer: PeerId,
    /// Its socket.
    pub control: Control,
    /// Central, with the peer's token.
    pub catalogue: Catalogue,
}

impl Session {
    /// Central, with a token.
    pub fn catalogue(&self) -> &Catalogue {
        match self {
            Self::User(user) => &user.catalogue,
            Self::Peer(peer) => &peer.catalogue,
        }
    }

    /// The account that asks.
    ///
    /// # Errors
    /// What central answers.
    pub async fn account(&self) -> Result<AccountId, Failure> {
        match self {
            Self::User(user) => Ok(user.login.account),
            Self::Peer(peer) => Ok(peer.catalogue.whoami().await?.account),
        }
    }

    /// Which way a command went, in words.
    pub fn way(&self) -> String {
        let base = self.catalogue().base();
        match self {
            Self::User(user) => format!("central {base}, as {}", user.login.name),
            Self::Peer(peer) => format!("central {base}, as the account of peer {}", peer.peer),
        }
    }
}

impl Context {
    /// The user's session.
    ///
    /// # Errors
    /// UNAUTHENTICATED: nobody is logged in, or no longer. UNAVAILABLE: central is away.
    pub async fn user(&self) -> Result<UserSession, Failure> {
        match self.someone().await? {
            Some(user) => Ok(user),
            None if self.here().await.is_some() => Err(self.only_a_peer()),
            None => Err(self.nobody()),
        }
    }

    /// The user's session, or else that of the peer here.
    ///
    /// # Errors
    /// As [`Context::user`].
    pub async fn anyone(&self) -> Result<Session, Failure> {
        if let Some(user) = self.someone().await? {
            return Ok(Session::User(Box::new(user)));
        }
        match self.here().await {
            Some(control) => Ok(Session::Peer(Box::new(peer_session(control).await?))),
            None => Err(self.nobody()),
        }
    }

    /// By the API token that this command was given, or the login that is kept.
    async fn someone(&self) -> Result<Option<UserSession>, Failure> {
        if let Some(token) = &self.token {
            return token.user(self).await.map(Some);
        }
        match self.login()? {
            Some(login) => self.renewed(login).await.map(Some),
            None => Ok(None),
        }
    }

    /// The peer here that can work for this session, if there is one.
    ///
    /// # Errors
    /// It is there and cannot work: nothing is done without it behind its back.
    pub async fn beside(&self, session: &Session) -> Result<Option<Local>, Failure> {
        match session {
            Session::User(user) => self.local(&user.login.network).await,
            Session::Peer(own) => Ok(Some(Local { control: own.control.clone(), peer: own.peer })),
        }
    }

    /// The login that the command line, the environment or the file means.
    ///
    /// # Errors
    /// There are several, or it cannot be read.
    pub fn login(&self) -> Result<Option<Login>, Failure> {
        let central = self.central.as_deref().map(central::address).transpose()?;
        self.logins.find(central.as_deref())
    }

    fn only_a_peer(&self) -> Failure {
        let data = self.data.as_deref().unwrap_or(std::path::Path::new("")).display();
        fail!(
            Unauthenticated,
            "you are not logged in, and the account of the peer here ({data}) may not do this: it \
             is for users"
        )
    }

    fn nobody(&self) -> Failure {
        match &self.central {
            Some(central) => fail!(Unauthenticated, "you are not logged in to {central}"),
            None => fail!(
                Unauthenticated,
                "you are not logged in, and no peer runs here whose account could be used"
            ),
        }
    }

    /// The session of a login that is kept, renewed where it is time; and kept so.
    ///
    /// # Errors
    /// As [`Context::user`].
    pub async fn renewed(&self, login: Login) -> Result<UserSession, Failure> {
        let (user, is_new) = self.fresh(login).await?;
        if is_new {
            self.logins.save(&user.login)?;
        }
        Ok(user)
    }

    /// The session of a login; and whether its certificate and token are new.
    async fn fresh(&self, mut login: Login) -> Result<(UserSession, bool), Failure> {
        let catalogue = central::catalogue(&login.central, &login.network)?;
        let (now, has) = (self.clock.now_ms(), &login.credentials);
        let fresh = has.token_ends_ms - now > TOKEN_MARGIN_MS
            && has.certificate_ends_ms - now > CERTIFICATE_MARGIN_MS;
        if !fresh {
            renew(&catalogue, &mut login).await?;
        }
        Ok((
            UserSession { catalogue: catalogue.with_token(&login.credentials.token), login },
            !fresh,
        ))
    }
}

/// A new certificate and token, by proof of the session's key.
async fn renew(catalogue: &Catalogue, login: &mut Login) -> Result<(), Failure> {
    let key = login.private_key()?;
    let request =
        RenewRequest { identity: login.identity(), csr: csr(&key)?, epoch: None, pod_token: None };
    let nonce = catalogue.nonce().await?;
    login.credentials =
        catalogue.renew(&Proven::sign(&request, login.network.id, nonce.nonce, &key.0)?).await?;
    Ok(())
}

impl Login {
    /// The identity that the session's certificate shows.
    pub fn identity(&self) -> Identity {
        Identity::User(self.session)
    }

    /// The session's key.
    ///
    /// # Errors
    /// The file was damaged.
    pub fn private_key(&self) -> Result<KeyPkcs8Der, Failure> {
        KeyPkcs8Der::from_pem(&self.key).map_err(|error| {
            fail!(Unauthenticated, "the login's key cannot be read: {error}; log in again")
        })
    }
}

/// A signing request as REST carries it.
///
/// # Errors
/// The key cannot be used.
pub fn csr(key: &KeyPkcs8Der) -> Result<String, Failure> {
    let request = tls::signing_request(key)
        .map_err(|error| fail!(Internal, "no signing request can be made: {error}"))?;
    Ok(STANDARD.encode(request))
}

/// The peer here vouches for central by the authority that it was started with.
async fn peer_session(mut control: Control) -> Result<PeerSession, Failure> {
    let session = control.session().await?;
    let contact = central::known(&session.central, session.authority).await?;
    Ok(PeerSession {
        peer: peer_id(&session.peer)?,
        control,
        catalogue: contact.catalogue.with_token(&session.token),
    })
}

/// The id of a peer, from the 16 bytes of a message.
///
/// # Errors
/// INTERNAL: the peer here sent something else.
pub fn peer_id(bytes: &[u8]) -> Result<PeerId, Failure> {
    PeerId::from_bytes(bytes)
        .map_err(|error| fail!(Internal, "the peer here names itself badly: {error}"))
}

/// The visibility that flags mean.
pub fn visibility(private: bool) -> peral_model::Visibility {
    if private { peral_model::Visibility::Private } else { peral_model::Visibility::Public }
}

/// A file name from the command line.
///
/// # Errors
/// INVALID_NAME.
pub fn file_name(text: &str) -> Result<peral_model::FileName, Failure> {
    convert::name(text)
}

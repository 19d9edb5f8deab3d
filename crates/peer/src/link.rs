//! The daemon's connection to central. There is none before the first contact, and none after the
//! process lost its identity: another process took over, or the key was revoked.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use peral_model::{AccountId, NetworkId, PeerId};
use peral_runtime::SharedClock;
use peral_transfer::Here;
use peral_wire::{Catalogue, Failure, fail};
use tokio::sync::Notify;

/// A token that expires within this time (ms) is renewed before it is used.
const NEARLY: i64 = 10_000;
/// How long a call waits for a token to be renewed.
const WAIT: Duration = Duration::from_secs(10);

/// Who this peer is, as central registered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredPeer {
    /// Its id.
    pub peer: PeerId,
    /// Its fencing number.
    pub epoch: u64,
    /// The account that it acts for.
    pub account: AccountId,
    /// The network.
    pub network: NetworkId,
}

/// Why a process lost its peer identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityLoss {
    /// Another process has taken over the peer's id.
    Superseded,
    /// The peer's key is revoked.
    Revoked,
}

/// A token for calls to central.
#[derive(Debug)]
pub struct Token {
    pub text: Arc<str>,
    /// When it expires, in milliseconds since 1970.
    pub ends_ms: i64,
}

struct Inner {
    base: String,
    clock: SharedClock,
    catalogue: OnceLock<Catalogue>,
    registration: ArcSwapOption<RegisteredPeer>,
    token: ArcSwapOption<Token>,
    lost: OnceLock<IdentityLoss>,
    here: ArcSwap<Here>,
    wanted: Notify,
    renewed: Notify,
}

/// The connection to central. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

impl Link {
    /// Knows central's URL, and nothing of its network yet.
    pub fn new(base: &str, clock: SharedClock) -> Self {
        Self(Arc::new(Inner {
            base: base.into(),
            clock,
            catalogue: OnceLock::new(),
            registration: ArcSwapOption::empty(),
            token: ArcSwapOption::empty(),
            lost: OnceLock::new(),
            here: ArcSwap::default(),
            wanted: Notify::new(),
            renewed: Notify::new(),
        }))
    }

    /// URL of central.
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// The network is known: calls without a token can be made.
    pub fn connect(&self, catalogue: Catalogue) {
        // A second one would be the same.
        drop(self.0.catalogue.set(catalogue));
    }

    /// A client without a token.
    ///
    /// # Errors
    /// UNAVAILABLE before the first contact.
    pub fn anonymous(&self) -> Result<Catalogue, Failure> {
        self.0.catalogue.get().cloned().ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Failure {
        fail!(
            Unavailable,
            "this peer has not reached central at {} yet; see peral status",
            self.0.base
        )
    }

    /// Central registered this peer, now or before a restart.
    pub fn set_registration(&self, registration: RegisteredPeer) {
        self.0.registration.store(Some(Arc::new(registration)));
    }

    /// Who this peer is; `None` before its first registration.
    pub fn registration(&self) -> Option<RegisteredPeer> {
        self.0.registration.load().as_deref().copied()
    }

    /// The id of this peer.
    ///
    /// # Errors
    /// UNAVAILABLE before its first registration.
    pub fn peer(&self) -> Result<PeerId, Failure> {
        self.registration().map(|registration| registration.peer).ok_or_else(|| self.unknown())
    }

    /// Sets where this peer runs: as configured, or as central knows.
    pub fn place(&self, here: Here) {
        self.0.here.store(Arc::new(here));
    }

    /// Where this peer runs.
    pub fn here(&self) -> Here {
        Here::clone(&self.0.here.load())
    }

    /// Sets a new token.
    pub fn renew(&self, token: &str, ends_ms: i64) {
        self.0.token.store(Some(Arc::new(Token { text: token.into(), ends_ms })));
        self.0.renewed.notify_waiters();
    }

    /// The present token, which may have expired.
    pub fn token_now(&self) -> Option<Arc<Token>> {
        self.0.token.load_full()
    }

    /// This process no longer owns the peer's identity: it must not serve or write from now on. The
    /// first reason counts.
    pub fn lose(&self, why: IdentityLoss) {
        self.0.lost.get_or_init(|| why);
        self.0.renewed.notify_waiters();
    }

    /// Why this process no longer owns the peer's identity, if so.
    pub fn lost(&self) -> Option<IdentityLoss> {
        self.0.lost.get().copied()
    }

    /// Fails when this process no longer owns the peer's identity.
    ///
    /// # Errors
    /// SUPERSEDED, REVOKED.
    pub fn check(&self) -> Result<(), Failure> {
        match self.lost() {
            None => Ok(()),
            Some(IdentityLoss::Superseded) => Err(fail!(
                Superseded,
                "another process took over this peer's identity; stop this one, or give it a data \
                 folder of its own"
            )),
            Some(IdentityLoss::Revoked) => Err(fail!(
                Revoked,
                "the key of this peer was revoked; to join again as another peer, start it with a \
                 new data folder and a join token, or in Kubernetes as a new pod with a new volume"
            )),
        }
    }

    /// Waits until a caller needs a new token.
    pub(crate) async fn token_wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// A client with a valid token.
    ///
    /// # Errors
    /// UNAVAILABLE when there is none in time; SUPERSEDED, REVOKED.
    pub async fn catalogue(&self) -> Result<Catalogue, Failure> {
        Ok(self.anonymous()?.with_token(&self.good_token().await?))
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// As [`Self::catalogue`].
    pub async fn good_token(&self) -> Result<Arc<str>, Failure> {
        let renewed = async {
            loop {
                let next = self.0.renewed.notified();
                self.check()?;
                match self.token_now() {
                    Some(token) if token.ends_ms > self.0.clock.now_ms() + NEARLY => {
                        return Ok(Arc::clone(&token.text));
                    }
                    _ => self.0.wanted.notify_one(),
                }
                next.await;
            }
        };
        let late = || {
            fail!(
                Unavailable,
                "central at {} did not renew the token of this peer in time; see peral status",
                self.0.base
            )
        };
        tokio::time::timeout(WAIT, renewed).await.map_err(|_| late())?
    }
}

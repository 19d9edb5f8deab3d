//! The daemon's way to central: none before the first registration, none after another process took
//! over or the key was revoked.

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

/// A token that ends sooner than this is renewed before it is used.
const NEARLY: i64 = 10_000;
/// How long a call waits for a token to be renewed.
const WAIT: Duration = Duration::from_secs(10);

/// Who this peer is, since central said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub peer: PeerId,
    /// Its fencing number.
    pub epoch: u64,
    /// The account that it works for.
    pub account: AccountId,
    /// The network.
    pub network: NetworkId,
}

/// Why a process is its peer no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Another process has taken over the peer's id.
    Superseded,
    /// The peer's key is revoked.
    Revoked,
}

#[derive(Debug, Clone)]
struct Token {
    text: Arc<str>,
    ends_ms: i64,
}

struct Inner {
    base: String,
    clock: SharedClock,
    catalogue: OnceLock<Catalogue>,
    standing: ArcSwapOption<Standing>,
    token: ArcSwapOption<Token>,
    ended: OnceLock<Ended>,
    here: ArcSwap<Here>,
    wanted: Notify,
    renewed: Notify,
}

/// The way to central. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

impl Link {
    /// No way yet to central at `base`.
    pub fn new(base: &str, clock: SharedClock) -> Self {
        Self(Arc::new(Inner {
            base: base.into(),
            clock,
            catalogue: OnceLock::new(),
            standing: ArcSwapOption::empty(),
            token: ArcSwapOption::empty(),
            ended: OnceLock::new(),
            here: ArcSwap::default(),
            wanted: Notify::new(),
            renewed: Notify::new(),
        }))
    }

    /// Where central is.
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// The network is known: calls can be made, without a token still.
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

    /// Central gave this standing, now or before a restart.
    pub fn stand(&self, standing: Standing) {
        self.0.standing.store(Some(Arc::new(standing)));
    }

    /// Who this peer is; nothing before its first registration.
    pub fn standing(&self) -> Option<Standing> {
        self.0.standing.load().as_deref().copied()
    }

    /// Its id.
    ///
    /// # Errors
    /// UNAVAILABLE before its first registration.
    pub fn peer(&self) -> Result<PeerId, Failure> {
        self.standing().map(|standing| standing.peer).ok_or_else(|| self.unknown())
    }

    /// This peer runs here: as it was told, or as central knows better.
    pub fn place(&self, here: Here) {
        self.0.here.store(Arc::new(here));
    }

    /// Where this peer runs.
    pub fn here(&self) -> Here {
        Here::clone(&self.0.here.load())
    }

    /// A fresh token.
    pub fn renew(&self, token: &str, ends_ms: i64) {
        self.0.token.store(Some(Arc::new(Token { text: token.into(), ends_ms })));
        self.0.renewed.notify_waiters();
    }

    /// The token, and when it ends (milliseconds since 1970).
    pub fn token_now(&self) -> Option<(Arc<str>, i64)> {
        self.0.token.load().as_ref().map(|token| (Arc::clone(&token.text), token.ends_ms))
    }

    /// This process is this peer no more: from now on nothing is served or written. The first
    /// reason counts.
    pub fn end(&self, why: Ended) {
        self.0.ended.get_or_init(|| why);
        self.0.renewed.notify_waiters();
    }

    /// Why this process is this peer no more, if so.
    pub fn ended(&self) -> Option<Ended> {
        self.0.ended.get().copied()
    }

    /// Refuses when this process is this peer no more.
    ///
    /// # Errors
    /// SUPERSEDED, REVOKED.
    pub fn check(&self) -> Result<(), Failure> {
        match self.ended() {
            None => Ok(()),
            Some(Ended::Superseded) => Err(fail!(
                Superseded,
                "another process has taken over this peer's identity; end this one, or give it a \
                 data folder of its own"
            )),
            Some(Ended::Revoked) => Err(fail!(
                Revoked,
                "the key of this peer is revoked; with a new data folder and a join token, or in \
                 Kubernetes as a new pod with a new volume, it can come back as another peer"
            )),
        }
    }

    /// Waits until somebody wants a token that there is not.
    pub(crate) async fn token_wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// A client with a token that is good now.
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
                    Some((token, ends_ms)) if ends_ms > self.0.clock.now_ms() + NEARLY => {
                        return Ok(token);
                    }
                    _ => self.0.wanted.notify_one(),
                }
                next.await;
            }
        };
        let late = || {
            fail!(
                Unavailable,
                "central at {} gives this peer no token now; see peral status",
                self.0.base
            )
        };
        tokio::time::timeout(WAIT, renewed).await.map_err(|_| late())?
    }
}

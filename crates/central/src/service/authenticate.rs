//! Who calls: tokens, and whether the session or peer behind one still counts.

use std::time::Duration;

use moka::future::Cache;
use peral_model::{AccountId, Identity, PeerId, SessionId};
use peral_wire::{Failure, fail, rest::accounts::Role};

use super::App;
use crate::{
    store::{Viewer, peers::Writer},
    token::{Claims, Subject},
};

/// For how long it is believed that a session or peer goes on. What ends here ends at once; what
/// ends on another replica, within this time.
const BELIEVED: Duration = Duration::from_secs(5);
/// Most sessions and peers that are remembered.
const REMEMBERED: u64 = 100_000;

pub(super) type LiveCache = Cache<Subject, Caller>;

pub(super) fn live_cache() -> LiveCache {
    Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED).build()
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// Its role; a peer is always a member.
    pub role: Role,
    /// The session or peer.
    pub subject: Subject,
    /// When the proof ends that its token goes back to, in milliseconds since 1970.
    pub proof_ends_ms: i64,
}

/// A peer that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCaller {
    /// The peer and its epoch.
    pub writer: Writer,
    /// The account that it works for.
    pub account: AccountId,
    /// As [`Caller::proof_ends_ms`].
    pub proof_ends_ms: i64,
}

impl Caller {
    /// Whose eyes it looks with.
    pub fn viewer(&self) -> Viewer {
        Viewer { account: self.account, admin: self.role == Role::Admin }
    }

    /// Its certificate identity.
    pub fn identity(&self) -> Identity {
        self.subject.identity()
    }

    /// The peer that calls.
    ///
    /// # Errors
    /// FORBIDDEN, when it is a user.
    pub fn peer(&self) -> Result<PeerCaller, Failure> {
        match self.subject {
            Subject::Peer { pid, epoch } => Ok(PeerCaller {
                writer: Writer { peer: pid, epoch },
                account: self.account,
                proof_ends_ms: self.proof_ends_ms,
            }),
            Subject::User { .. } => Err(fail!(Forbidden, "this is for peers, not for users")),
        }
    }

    /// The session that calls.
    ///
    /// # Errors
    /// FORBIDDEN, when it is a peer.
    pub fn session(&self) -> Result<SessionId, Failure> {
        match self.subject {
            Subject::User { sid } => Ok(sid),
            Subject::Peer { .. } => {
                Err(fail!(Forbidden, "this is for users, not for peers; log in"))
            }
        }
    }
}

impl App {
    /// Who shows this token.
    ///
    /// # Errors
    /// UNAUTHENTICATED: not ours, ended, revoked. STALE_EPOCH: a superseded peer. UNAVAILABLE: no
    /// database.
    pub async fn caller(&self, token: &str) -> Result<Caller, Failure> {
        let claims = self.keys.tokens.read(token, self.now())?;
        let live = self.live.try_get_with(claims.subject, self.look_up(claims.subject)).await;
        let caller = live.map_err(|failure| Failure::clone(&failure))?;
        if caller.account != claims.sub {
            return Err(ended());
        }
        Ok(Caller { proof_ends_ms: claims.proof.saturating_mul(1000), ..caller })
    }

    /// Who shows this token, by the token alone: for calls where the store checks the peer and its
    /// epoch itself.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub fn caller_by_token(&self, token: &str) -> Result<Caller, Failure> {
        let Claims { sub, subject, proof, .. } = self.keys.tokens.read(token, self.now())?;
        Ok(Caller {
            account: sub,
            role: Role::Member,
            subject,
            proof_ends_ms: proof.saturating_mul(1000),
        })
    }

    /// Whether it counts still; when its proof ends, only a token says.
    async fn look_up(&self, subject: Subject) -> Result<Caller, Failure> {
        match subject {
            Subject::User { sid } => {
                let session = self.store()?.session(sid, self.now()).await?.ok_or_else(ended)?;
                Ok(Caller {
                    account: session.account.id,
                    role: session.account.role,
                    subject,
                    proof_ends_ms: 0,
                })
            }
            Subject::Peer { pid, epoch } => {
                let peer = self.store()?.peer(pid).await?.ok_or_else(ended)?;
                if peer.epoch != epoch {
                    return Err(fail!(
                        StaleEpoch,
                        "another process registered as this peer, or it logged out; register again"
                    ));
                }
                if !peer.active {
                    return Err(ended());
                }
                Ok(Caller { account: peer.account, role: Role::Member, subject, proof_ends_ms: 0 })
            }
        }
    }

    /// A session ended here: it counts no more at once.
    pub(super) async fn forget_session(&self, sid: SessionId) {
        self.live.invalidate(&Subject::User { sid }).await;
    }

    /// A peer ended here, at whatever epoch; or an account changed, with whatever belongs to it.
    pub(super) fn forget_all(&self) {
        self.live.invalidate_all();
    }

    pub(super) async fn forget_peer(&self, pid: PeerId, epoch: u64) {
        self.live.invalidate(&Subject::Peer { pid, epoch }).await;
    }
}

fn ended() -> Failure {
    fail!(
        Unauthenticated,
        "the session or registration behind this token has ended; log in, or register, again"
    )
}

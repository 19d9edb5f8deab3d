//! Callers: users and peers.

use peral_model::{AccountId, Identity, SessionId};
use peral_wire::{Failure, fail, rest::accounts::Role};

use crate::{
    store::{Viewer, peers::Writer},
    token::Subject,
};

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account.
    pub account: AccountId,
    /// Its role; a peer is always a member.
    pub role: Role,
    /// The session or peer.
    pub subject: Subject,
    /// When the proof behind its token expires, in milliseconds since 1970.
    pub proof_ends_ms: i64,
}

/// A peer that sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerCaller {
    /// The peer and its epoch.
    pub writer: Writer,
    /// The account for which it acts.
    pub account: AccountId,
    /// As [`Caller::proof_ends_ms`].
    pub proof_ends_ms: i64,
}

impl Caller {
    /// As whom it sees files.
    pub fn viewer(&self) -> Viewer {
        Viewer { account: self.account, admin: self.role == Role::Admin }
    }

    /// Its certificate identity.
    pub fn identity(&self) -> Identity {
        self.subject.identity()
    }

    /// The calling peer.
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
            Subject::User { .. } => Err(fail!(Forbidden, "only peers may do this, not users")),
        }
    }

    /// The calling session.
    ///
    /// # Errors
    /// FORBIDDEN, when it is a peer.
    pub fn session(&self) -> Result<SessionId, Failure> {
        match self.subject {
            Subject::User { sid } => Ok(sid),
            Subject::Peer { .. } => {
                Err(fail!(Forbidden, "only users may do this, not peers; log in"))
            }
        }
    }
    /// Who may show the grants and tickets of this caller: the caller itself or, for a user, a peer
    /// that acts for it.
    ///
    /// # Errors
    /// FORBIDDEN.
    pub fn bearer(&self, named: Option<Identity>) -> Result<Identity, Failure> {
        let own = self.identity();
        match named {
            None => Ok(own),
            Some(named) if named == own => Ok(own),
            Some(named) if is_peer(named) && !is_peer(own) => Ok(named),
            Some(named) => Err(fail!(
                Forbidden,
                "{own} may not ask for rights of {named}; ask for your own, or as a user for those \
                 of a peer"
            )),
        }
    }
}

fn is_peer(identity: Identity) -> bool {
    matches!(identity, Identity::Peer(_))
}

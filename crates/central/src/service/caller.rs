//! Who calls.

use peral_model::{AccountId, Identity, SessionId};
use peral_wire::{Failure, fail, rest::accounts::Role};

use crate::{
    store::{Viewer, peers::Writer},
    token::Subject,
};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
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
pub(crate) struct PeerCaller {
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
    /// Who may show what is given to this caller: itself; or, for a user, a peer that works for it.
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
                "{own} can take rights for itself, and a user for peers, but not for {named}"
            )),
        }
    }
}

fn is_peer(identity: Identity) -> bool {
    matches!(identity, Identity::Peer(_))
}

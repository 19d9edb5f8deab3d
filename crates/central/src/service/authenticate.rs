//! Authentication: whose token it is, and whether its session or peer is still active.

use peral_wire::{Failure, fail, rest::accounts::Role};

use super::{app::App, caller::Caller};
use crate::{
    store::Refusal,
    token::{Claims, Subject},
};

impl App {
    /// The caller that shows this token.
    ///
    /// # Errors
    /// UNAUTHENTICATED: of another network, expired or revoked. STALE_EPOCH: a superseded peer.
    /// UNAVAILABLE: no database.
    pub async fn caller(&self, token: &str) -> Result<Caller, Failure> {
        let claims = self.keys.tokens.read(token, self.now())?;
        let caller = self.live.get(claims.subject, self.look_up(claims.subject)).await?;
        if caller.account != claims.sub {
            return Err(ended());
        }
        Ok(Caller { proof_ends_ms: claims.proof.saturating_mul(1000), ..caller })
    }

    /// The caller according to the token alone: for calls where the store checks the peer and its
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

    /// The caller, if it is still active. Only a token says when its proof expires.
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
                    return Err(Refusal::StaleEpoch.into());
                }
                if !peer.active {
                    return Err(ended());
                }
                Ok(Caller { account: peer.account, role: Role::Member, subject, proof_ends_ms: 0 })
            }
        }
    }
}

fn ended() -> Failure {
    fail!(
        Unauthenticated,
        "the session or registration of this token has ended; log in or register again"
    )
}

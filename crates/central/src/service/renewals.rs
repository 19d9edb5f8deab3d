//! Renewals of certificates and tokens, of sessions and peers.

use std::net::IpAddr;

use peral_model::{Identity, PeerId, SessionId};
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::sessions::{Credentials, RenewRequest},
};

use super::{app::App, check::unknown_identity, credentials::SigningRequest};
use crate::{
    store::{
        Refusal,
        peers::{KnownPeer, Writer},
    },
    token::Subject,
};

/// A peer that renews.
struct Renewing {
    writer: Writer,
    pod_token: Option<String>,
    remote: IpAddr,
}

impl App {
    /// Renews the certificate and token of a session or a peer, expired or not.
    ///
    /// # Errors
    /// UNAUTHENTICATED: another key, another pod, or an identity that has ended. STALE_EPOCH: a
    /// superseded peer. REVOKED: a revoked one. UNAVAILABLE or BUSY if Kubernetes must be asked.
    pub async fn renew(&self, remote: IpAddr, proof: &Proven) -> Result<Credentials, Failure> {
        let request: RenewRequest = self.read_proof(remote, proof)?;
        let signing = SigningRequest::read(&request.csr)?;
        match (request.identity, request.epoch) {
            (Identity::User(session), _) => self.renew_session(session, &signing, proof).await,
            (Identity::Peer(peer), Some(epoch)) => {
                let renewing = Renewing {
                    writer: Writer { peer, epoch },
                    pod_token: request.pod_token,
                    remote,
                };
                self.renew_peer(renewing, &signing, proof).await
            }
            (Identity::Peer(_), None) => {
                Err(fail!(InvalidArgument, "a peer needs its epoch to renew"))
            }
            (Identity::Central, _) => Err(unknown_identity()),
        }
    }

    async fn renew_session(
        &self,
        id: SessionId,
        signing: &SigningRequest,
        proof: &Proven,
    ) -> Result<Credentials, Failure> {
        let session = self.store()?.session(id, self.now()).await?.ok_or_else(unknown_identity)?;
        same_key(&session.public_key, signing)?;
        let checked = self.check_proof(proof, &session.public_key)?;
        self.use_up(checked).await?;
        let ends = self.certificate_ends(session.ends_ms);
        if !self.store()?.renew_session(id, ends, self.now()).await? {
            return Err(unknown_identity());
        }
        self.credentials(signing, session.account.id, Subject::User { sid: id }, ends)
    }

    async fn renew_peer(
        &self,
        renewing: Renewing,
        signing: &SigningRequest,
        proof: &Proven,
    ) -> Result<Credentials, Failure> {
        let Renewing { writer, pod_token, remote } = renewing;
        let peer = self.known_peer(writer.peer).await?;
        same_key(&peer.public_key, signing)?;
        let checked = self.check_proof(proof, &peer.public_key)?;
        // The owner of a key learns that its peer has ended, even if its pod is gone.
        let active = check_active(&peer, writer.epoch);
        if active.is_ok() {
            self.still_pod(remote, peer.pod.as_ref(), pod_token.as_deref()).await?;
        }
        self.use_up(checked).await?;
        active?;
        let ends = self.certificate_ends(i64::MAX);
        self.store()?.renew_peer(writer, ends).await?;
        self.credentials(
            signing,
            peer.account,
            Subject::Peer { pid: writer.peer, epoch: writer.epoch },
            ends,
        )
    }

    async fn known_peer(&self, id: PeerId) -> Result<KnownPeer, Failure> {
        self.store()?.peer(id).await?.ok_or_else(unknown_identity)
    }
}

/// Checks that this peer is active at this epoch.
fn check_active(peer: &KnownPeer, epoch: u64) -> Result<(), Failure> {
    match peer {
        peer if peer.revoked => Err(Refusal::PeerRevoked.into()),
        peer if peer.epoch != epoch => Err(Refusal::StaleEpoch.into()),
        peer if !peer.active => Err(unknown_identity()),
        _ => Ok(()),
    }
}

fn same_key(known: &[u8], signing: &SigningRequest) -> Result<(), Failure> {
    if known == signing.public_key {
        Ok(())
    } else {
        Err(fail!(Unauthenticated, "this identity is registered with another key"))
    }
}

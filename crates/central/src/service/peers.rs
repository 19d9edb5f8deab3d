//! Peers: registration, listing, logout, revocation.

use std::net::IpAddr;

use peral_model::PeerId;
use peral_wire::{
    Failure, fail,
    proof::Proven,
    rest::{
        Page,
        peers::{Peer, PeerChange, RegisterRequest, Registration},
    },
};

use super::{
    app::App,
    caller::{Caller, PeerCaller},
    check::at_most,
    credentials::SigningRequest,
    heartbeats::LEASE_MS,
    listing,
    listing::PageQuery,
    pods::Registrant,
    tokens,
};
use crate::{
    store::peers::{Registered, Registering},
    token::Subject,
};

impl App {
    /// Registers a peer: as a pod, or with a join token if its key is new.
    ///
    /// # Errors
    /// UNAUTHENTICATED, INVALID_ADDRESS, INVALID_ARGUMENT, RATE_LIMITED, and UNAVAILABLE or BUSY
    /// if Kubernetes must be asked.
    pub async fn register(&self, remote: IpAddr, proof: &Proven) -> Result<Registration, Failure> {
        let outcome = self.try_register(remote, proof).await;
        self.metrics.registration(&outcome);
        if let Err(failure) = &outcome {
            tracing::info!(
                code = %failure.code,
                reason = %failure,
                %remote,
                "refused a registration"
            );
        }
        outcome
    }

    async fn try_register(&self, remote: IpAddr, proof: &Proven) -> Result<Registration, Failure> {
        let request: RegisterRequest = self.read_proof(remote, proof)?;
        let signing = SigningRequest::read(&request.csr)?;
        let checked = self.check_proof(proof, &signing.public_key)?;
        at_most("version", &request.version, 64)?;
        let Registrant { pod, place, label } = self.registrant(remote, &request).await?;
        self.use_up(checked).await?;
        let now_ms = self.now();
        let ends = self.certificate_ends(i64::MAX);
        let (node, zone) = (place.node.clone(), place.zone.clone());
        let registering = Registering {
            public_key: signing.public_key.clone(),
            join_token: request.join_token.as_deref().map(tokens::hash),
            pod,
            address: place.address.clone(),
            label,
            node: place.node,
            zone: place.zone,
            version: request.version,
            lease_ends_ms: now_ms + LEASE_MS,
            certificate_ends_ms: ends,
            now_ms,
        };
        let done = self.store()?.register(registering).await?;
        let credentials = self.credentials(
            &signing,
            done.account,
            Subject::Peer { pid: done.peer, epoch: done.epoch },
            ends,
        )?;
        self.supersede(&done, &place.address).await;
        Ok(Registration {
            peer: done.peer,
            epoch: done.epoch,
            account: done.account,
            network: self.keys.network,
            credentials,
            last_delta: done.last_delta,
            node,
            zone,
        })
    }

    /// Forgets whom a registration superseded: the process that had this id before and, if a pod
    /// came with a new key, the peer that it was before.
    async fn supersede(&self, done: &Registered, address: &str) {
        self.live.forget_peer(done.peer, done.epoch.saturating_sub(1)).await;
        if let Some(ended) = done.ended {
            self.live.forget_all();
            tracing::warn!(
                peer = %done.peer,
                %ended,
                "a pod registered with a new key, as after the loss of its volume; revoked the \
                 peer that it was before"
            );
        }
        tracing::info!(
            peer = %done.peer,
            epoch = done.epoch,
            new = done.new,
            address,
            "registered a peer"
        );
    }

    /// All peers.
    pub async fn peers(&self, page: &PageQuery) -> Result<Page<Peer>, Failure> {
        Ok(listing::seal(self.store()?.peers(page.paging()?, self.now()).await?))
    }

    /// Logs the calling peer out.
    ///
    /// # Errors
    /// FORBIDDEN: another peer. STALE_EPOCH.
    pub async fn log_out_peer(&self, peer: &PeerCaller, id: PeerId) -> Result<(), Failure> {
        if id != peer.writer.peer {
            return Err(fail!(Forbidden, "a peer can log out only itself"));
        }
        self.store()?.log_out_peer(id, Some(peer.writer.epoch), self.now()).await?;
        self.live.forget_peer(id, peer.writer.epoch).await;
        tracing::info!(peer = %id, "logged out a peer");
        Ok(())
    }

    /// Revokes a peer's key permanently.
    ///
    /// # Errors
    /// NOT_FOUND. INVALID_ARGUMENT: the key was to be allowed again.
    pub async fn revoke_peer(
        &self,
        caller: &Caller,
        id: PeerId,
        change: &PeerChange,
    ) -> Result<(), Failure> {
        if !change.revoked {
            return Err(fail!(
                InvalidArgument,
                "a revoked key stays revoked; let the peer join with a new key"
            ));
        }
        if !self.store()?.revoke_peer(id, self.now()).await? {
            return Err(fail!(NotFound, "peer {id} does not exist"));
        }
        self.live.forget_all();
        tracing::info!(peer = %id, by = %caller.identity(), "revoked a peer");
        Ok(())
    }
}

//! Joining the network, the first time and again.

use std::ops::ControlFlow;

use peral_runtime::{Backoff, Lock};
use peral_transfer::{
    Here,
    trust::{DEADLINE, FirstContact, Network},
};
use peral_wire::{
    ErrorCode, Failure, fail,
    rest::peers::{RegisterRequest, Registration},
};

use super::{
    keys::NETWORK,
    member::{FIRST_PAUSE, LONGEST_PAUSE, Membership},
};
use crate::{
    holdings,
    link::RegisteredPeer,
    secret::{JoinToken, PodToken},
};

impl Membership {
    /// Waits until the network is known.
    pub(super) async fn learn_network(&self) -> Result<Network, Failure> {
        let path = self.0.library.data().file(NETWORK);
        let base = self.link().base().to_owned();
        let network = match Network::load(&path)? {
            Some(known) => known,
            None => {
                let network = self.contact(&base).await?;
                network.save(&path)?;
                network
            }
        };
        self.link().connect(network.catalogue(&base, self.0.inject, DEADLINE)?);
        self.0.library.rights().set_keys(network.verifier());
        self.resume(&network)?;
        *self.0.network.locked() = Some(network.clone());
        Ok(network)
    }

    async fn contact(&self, base: &str) -> Result<Network, Failure> {
        let first = self.0.about.first_contact.clone().unwrap_or(FirstContact::PublicName);
        let inject = self.0.inject;
        let attempt = || async {
            match Network::contact(base, &first, inject).await {
                Ok(network) => ControlFlow::Break(Ok(network)),
                // Another server answers than the expected one: waiting does not change that.
                Err(failure)
                    if matches!(
                        failure.code,
                        ErrorCode::Untrusted | ErrorCode::Unauthenticated
                    ) =>
                {
                    let how = "--ca-fingerprint HEX (`peral central fingerprint` prints it) or \
                        --ca-file FILE";
                    ControlFlow::Break(Err(fail!(
                        Untrusted,
                        "{}; say which authority is central's with {how}",
                        failure.detail
                    )))
                }
                Err(failure) => ControlFlow::Continue(failure),
            }
        };
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        self.retry(backoff, "this peer has not reached central yet", attempt).await
    }

    /// Takes the identity from before a restart, which is good for serving while central is away.
    /// Where there is none, reads the token that is needed: waiting does not bring one.
    fn resume(&self, network: &Network) -> Result<(), Failure> {
        if let Some(before) = self.0.key.resume()? {
            if before.registration.network != network.id {
                return Err(fail!(
                    Internal,
                    "the data folder {} holds the identity of a peer in another network",
                    self.0.library.data().root().display()
                ));
            }
            self.link().set_registration(before.registration);
            *self.0.lifetime.locked() = Some(before.lifetime);
            self.0.check.ok();
        } else if let Some(token) = &self.0.about.join_token {
            token.read()?;
        } else if let Some(token) = &self.0.about.pod_token {
            token.read()?;
        }
        Ok(())
    }

    /// Registers once. A pod shows its token each time. Otherwise a registered key needs no token,
    /// unless central does not know it, or no longer.
    pub(super) async fn register_once(&self) -> Result<(), Failure> {
        if self.0.about.pod_token.is_some() {
            return self.register_with(None).await;
        }
        let token = self.0.about.join_token.as_ref();
        if self.link().registration().is_none() {
            return self.register_with(token.map(JoinToken::read).transpose()?).await;
        }
        match (self.register_with(None).await, token) {
            (Err(failure), Some(token)) if failure.code == ErrorCode::Unauthenticated => {
                let token = token.read().map_err(|missing| {
                    fail!(Unauthenticated, "{}: {}", failure.detail, missing.detail)
                })?;
                self.register_with(Some(token)).await
            }
            (registered, _) => registered,
        }
    }

    async fn register_with(&self, join_token: Option<String>) -> Result<(), Failure> {
        let catalogue = self.anonymous()?;
        let network =
            self.network().ok_or_else(|| fail!(Unavailable, "the network is not known yet"))?;
        let about = &self.0.about;
        let address = about.advertise.address(catalogue.base()).await?;
        let request = RegisterRequest {
            csr: self.0.key.csr()?,
            join_token,
            pod_token: about.pod_token.as_ref().map(PodToken::read).transpose()?,
            address: address.to_string(),
            label: about.label.clone(),
            node: about.node.clone(),
            zone: about.zone.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let proof = self.0.key.prove(&catalogue, network.id, &request).await?;
        let registered = catalogue.register(&proof).await?;
        if registered.network != network.id {
            return Err(fail!(Internal, "central registered this peer in another network"));
        }
        let registration = RegisteredPeer {
            peer: registered.peer,
            epoch: registered.epoch,
            account: registered.account,
            network: registered.network,
        };
        self.take(registration, &registered.credentials).await?;
        *self.0.address.locked() = Some(address);
        let RegisteredPeer { peer, epoch, .. } = registration;
        tracing::info!(%peer, epoch, address = request.address, "registered");
        self.catch_up(&registered).await
    }

    /// Adjusts to what central knows of this peer.
    async fn catch_up(&self, registered: &Registration) -> Result<(), Failure> {
        let (about, library) = (&self.0.about, &self.0.library);
        self.link().place(Here {
            node: known(&registered.node, &about.node),
            zone: known(&registered.zone, &about.zone),
        });
        if registered.last_delta > library.db().last_delta().await? {
            tracing::warn!(
                central = registered.last_delta,
                "central has later deltas than this data folder, which is an old copy; comparing \
                 all holdings"
            );
            library.db().skip_deltas(registered.last_delta).await?;
        }
        holdings::acknowledge(library, registered.last_delta).await?;
        self.refresh_keys().await;
        self.0.compare.notify_one();
        library.wake_ups().publish.notify_one();
        Ok(())
    }
}

/// In Kubernetes central knows where a peer runs, and the peer does not.
fn known(to_central: &str, here: &str) -> String {
    if to_central.is_empty() { here.to_owned() } else { to_central.to_owned() }
}

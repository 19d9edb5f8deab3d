//! Coming into the network, the first time and again.

use std::ops::ControlFlow;

use peral_runtime::{Backoff, Lock};
use peral_transfer::{
    Here,
    trust::{DEADLINE, FirstContact, Network},
};
use peral_wire::{ErrorCode, Failure, fail, rest::peers::RegisterRequest};

use super::{FIRST_PAUSE, LONGEST_PAUSE, Membership};
use crate::{
    args::{JoinToken, PodToken},
    holdings,
    link::Standing,
};

const NETWORK: &str = "network.json";

/// Waits until the network is known.
pub(super) async fn meet(of: &Membership) -> Result<Network, Failure> {
    let path = of.0.library.data().file(NETWORK);
    let base = of.link().base().to_owned();
    let network = match Network::load(&path)? {
        Some(known) => known,
        None => {
            let network = contact(of, &base).await?;
            network.save(&path)?;
            network
        }
    };
    of.link().connect(network.catalogue(&base, of.0.inject, DEADLINE)?);
    of.0.library.rights().set_keys(network.verifier());
    if let Some((standing, lifetime)) = of.0.key.resume()? {
        if standing.network != network.id {
            return Err(fail!(
                Internal,
                "the data folder {} holds the identity of another network",
                of.0.library.data().root().display()
            ));
        }
        // From before a restart: good for serving while central is away.
        of.link().stand(standing);
        *of.0.lifetime.locked() = Some(lifetime);
        of.0.check.ok();
    } else if let Some(token) = &of.0.about.join_token {
        // Needed for sure, and no waiting brings it.
        token.read()?;
    } else if let Some(token) = &of.0.about.pod_token {
        token.read()?;
    }
    *of.0.network.locked() = Some(network.clone());
    Ok(network)
}

async fn contact(of: &Membership, base: &str) -> Result<Network, Failure> {
    let first = of.0.about.first_contact.clone().unwrap_or(FirstContact::PublicName);
    let inject = of.0.inject;
    let attempt = || async {
        match Network::contact(base, &first, inject).await {
            Ok(network) => ControlFlow::Break(Ok(network)),
            // Another server answers than the expected one: waiting does not change that.
            Err(failure)
                if matches!(failure.code, ErrorCode::Untrusted | ErrorCode::Unauthenticated) =>
            {
                let how = "--ca-fingerprint HEX (`peral central fingerprint` prints it) or \
                    --ca-file FILE";
                ControlFlow::Break(Err(fail!(
                    Untrusted,
                    "{}; {how} says which authority is central's",
                    failure.detail
                )))
            }
            Err(failure) => ControlFlow::Continue(failure),
        }
    };
    let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    of.retry(backoff, "central is not known yet", attempt).await
}

/// Registers once. A pod shows its token each time. Else a key that is known needs no token; one
/// that central does not know, or no longer, does.
pub(super) async fn register(of: &Membership) -> Result<(), Failure> {
    if of.0.about.pod_token.is_some() {
        return register_with(of, None).await;
    }
    let token = of.0.about.join_token.as_ref();
    if of.link().standing().is_some() {
        match (register_with(of, None).await, token) {
            (Err(failure), Some(token)) if failure.code == ErrorCode::Unauthenticated => {
                let token = token.read().map_err(|missing| {
                    fail!(Unauthenticated, "{}: {}", failure.detail, missing.detail)
                })?;
                register_with(of, Some(token)).await
            }
            (registered, _) => registered,
        }
    } else {
        register_with(of, token.map(JoinToken::read).transpose()?).await
    }
}

async fn register_with(of: &Membership, join_token: Option<String>) -> Result<(), Failure> {
    let catalogue = of.anonymous()?;
    let network = of.network().ok_or_else(|| fail!(Unavailable, "the network is not known yet"))?;
    let about = &of.0.about;
    let address = about.advertise.address(catalogue.base()).await?;
    let request = RegisterRequest {
        csr: of.0.key.csr()?,
        join_token,
        pod_token: about.pod_token.as_ref().map(PodToken::read).transpose()?,
        address: address.to_string(),
        label: about.label.clone(),
        node: about.node.clone(),
        zone: about.zone.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let proof = of.0.key.prove(&catalogue, network.id, &request).await?;
    let given = catalogue.register(&proof).await?;
    if given.network != network.id {
        return Err(fail!(Internal, "central registered this peer in another network"));
    }
    let standing = Standing {
        peer: given.peer,
        epoch: given.epoch,
        account: given.account,
        network: given.network,
    };
    of.take(standing, &given.credentials).await?;
    of.link().place(Here {
        node: known(&given.node, &about.node),
        zone: known(&given.zone, &about.zone),
    });
    *of.0.address.locked() = Some(address);
    tracing::info!(peer = %given.peer, epoch = given.epoch, address = request.address, "registered");
    if given.last_delta > of.0.library.db().last_delta().await? {
        tracing::warn!(
            central = given.last_delta,
            "central has later deltas than this data folder: it is an old copy; all holdings are \
             compared"
        );
        of.0.library.db().skip_deltas(given.last_delta).await?;
    }
    holdings::acknowledge(&of.0.library, given.last_delta).await?;
    refresh_keys(of).await;
    of.0.compare.notify_one();
    of.0.library.kicks().publish.notify_one();
    Ok(())
}

/// In Kubernetes central knows where a peer runs, and the peer does not.
fn known(to_central: &str, here: &str) -> String {
    if to_central.is_empty() { here.to_owned() } else { to_central.to_owned() }
}

/// Fetches central's keys again.
pub(super) async fn refresh_keys(of: &Membership) {
    let fetched = async { of.anonymous()?.jwks().await };
    match fetched.await {
        Ok(jwks) => keep_keys(of, jwks),
        Err(failure) => tracing::info!(reason = %failure, "central's keys are not fetched now"),
    }
}

fn keep_keys(of: &Membership, jwks: peral_wire::keys::Jwks) {
    let mut known = of.0.network.locked();
    let Some(network) =
        known.as_mut().filter(|network| network.jwks != jwks && !jwks.keys.is_empty())
    else {
        return;
    };
    tracing::info!(keys = jwks.keys.len(), "central's keys changed");
    network.jwks = jwks;
    of.0.library.rights().set_keys(network.verifier());
    if let Err(failure) = network.save(&of.0.library.data().file(NETWORK)) {
        tracing::warn!(reason = %failure, "central's new keys are not kept");
    }
}

//! Peers that are pods, at registration and renewal.

use std::net::{IpAddr, SocketAddr};

use peral_wire::{Failure, fail, rest::peers::RegisterRequest};

use super::{app::App, check::at_most};
use crate::{
    address,
    pods::Pods,
    store::{
        Refusal,
        peers::{PeerLocation, Pod, RegisteringPod},
    },
};

/// Who registers, as far as it is known without the catalogue.
pub(super) struct Registrant {
    pub pod: Option<RegisteringPod>,
    pub place: PeerLocation,
    pub label: String,
}

impl App {
    /// What is recorded of a peer that registers: for a pod what Kubernetes says, for others what
    /// they say themselves.
    pub(super) async fn registrant(
        &self,
        remote: IpAddr,
        request: &RegisterRequest,
    ) -> Result<Registrant, Failure> {
        let check = |address: &str| {
            address::check(address, self.config.allow_loopback_peers)
                .map(|address| address.to_string())
        };
        let Some(token) = &request.pod_token else {
            for (what, text, most) in [
                ("label", &request.label, 100),
                ("node", &request.node, 253),
                ("zone", &request.zone, 253),
            ] {
                at_most(what, text, most)?;
            }
            let place = PeerLocation {
                address: check(&request.address)?,
                node: request.node.clone(),
                zone: request.zone.clone(),
            };
            return Ok(Registrant { pod: None, place, label: request.label.clone() });
        };
        if request.join_token.is_some() {
            return Err(fail!(
                InvalidArgument,
                "give either a join token or the token of a pod, not both"
            ));
        }
        let port = address::port(&request.address)?;
        let pods = self.pods()?;
        let pod = pods.review(remote, token).await?;
        let found = pods.find(remote, &pod).await?;
        let address = check(&SocketAddr::new(found.ip, port).to_string())?;
        let (label, place) =
            (pod.name.clone(), PeerLocation { address, node: found.node, zone: found.zone });
        Ok(Registrant { pod: Some(pods.registering(pod)), place, label })
    }

    /// Checks that the caller is still the pod as which this peer was registered, if it is one.
    pub(super) async fn still_pod(
        &self,
        remote: IpAddr,
        known: Option<&Pod>,
        token: Option<&str>,
    ) -> Result<(), Failure> {
        let (known, token) = match (known, token) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(Refusal::NotAPod.into()),
            (Some(_), None) => return Err(Refusal::NeedsPod.into()),
            (Some(known), Some(token)) => (known, token),
        };
        let pod = self.pods()?.review(remote, token).await?;
        match pod {
            pod if pod.name != known.name => Err(Refusal::OtherPod.into()),
            pod if pod.uid != known.uid => Err(fail!(
                Unauthenticated,
                "the pod {} was created again since this peer registered; register again",
                pod.name
            )),
            _ => Ok(()),
        }
    }

    fn pods(&self) -> Result<&Pods, Failure> {
        self.pods.as_ref().ok_or_else(|| {
            fail!(
                Unauthenticated,
                "this central does not accept tokens of pods: start it with --kubernetes-audience"
            )
        })
    }
}

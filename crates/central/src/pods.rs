//! Peers that are pods: who a token is of, and where that pod is, as Kubernetes says. Nothing that
//! a peer says of itself is believed.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus},
    core::v1::{Node, Pod as PodObject},
};
use peral_wire::{Failure, fail};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    cluster::{Cluster, Trouble},
    config::Kubernetes,
    store::peers::{Pod, RegisteringPod},
};

/// Pods that are asked about at once, and how long others wait for their turn.
const AT_ONCE: usize = 32;
const TURN: Duration = Duration::from_secs(2);
/// Longest token of a pod, in bytes; those of Kubernetes have one or two thousand.
const LONGEST: usize = 16 << 10;
/// A pod in these phases has no process: its address may be another's by now.
const OVER: [&str; 2] = ["Succeeded", "Failed"];
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Asks Kubernetes about pods.
pub(crate) struct Pods {
    cluster: Cluster,
    audience: String,
    /// Who a peer's pod is to the API server.
    username: String,
    account: String,
    turn: Semaphore,
}

/// Where a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub ip: IpAddr,
    pub node: String,
    /// Empty where it is not known.
    pub zone: String,
}

impl Pods {
    /// # Errors
    /// INVALID_ARGUMENT, when the API server cannot be called as it is configured.
    pub fn new(config: &Kubernetes) -> Result<Self, Failure> {
        let cluster = Cluster::new(config.cluster.as_ref().clone())?;
        let username =
            format!("system:serviceaccount:{}:{}", cluster.namespace(), config.service_account);
        tracing::info!(
            server = cluster.server(),
            audience = config.audience,
            username,
            "pods may join as peers"
        );
        Ok(Self {
            cluster,
            audience: config.audience.clone(),
            username,
            account: config.account.clone(),
            turn: Semaphore::new(AT_ONCE),
        })
    }

    /// A pod, as it registers.
    pub fn registering(&self, pod: Pod) -> RegisteringPod {
        RegisteringPod { pod, account: self.account.clone() }
    }

    /// The pod whose token this is.
    ///
    /// # Errors
    /// UNAUTHENTICATED: it is no token of a peer's pod; the log says why. UNAVAILABLE, BUSY.
    pub async fn review(&self, remote: IpAddr, token: &str) -> Result<Pod, Failure> {
        if token.is_empty() || token.len() > LONGEST {
            return Err(refused(remote, &format!("a token of {} bytes is none", token.len())));
        }
        let _turn = self.turn().await?;
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![self.audience.clone()]),
        };
        let asked = TokenReview { spec, ..TokenReview::default() };
        let answer = self
            .cluster
            .ask(&asked)
            .await
            .map_err(|trouble| away("the token of a pod", &trouble))?;
        self.believe(answer.status.unwrap_or_default())
            .map_err(|reason| refused(remote, &reason.replace(token, "…")))
    }

    /// Where the pod is, if it is still the one that the token is of.
    ///
    /// # Errors
    /// As [`Pods::review`].
    pub async fn find(&self, remote: IpAddr, pod: &Pod) -> Result<Whereabouts, Failure> {
        let _turn = self.turn().await?;
        let found: PodObject = match self.cluster.get(&pod.name).await {
            Err(trouble) if trouble.is(404) => {
                return Err(refused(remote, &format!("there is no pod {} any more", pod.name)));
            }
            found => found.map_err(|trouble| away(&format!("the pod {}", pod.name), &trouble))?,
        };
        if found.metadata.uid.as_deref() != Some(&pod.uid) {
            let now = found.metadata.uid.unwrap_or_default();
            return Err(refused(
                remote,
                &format!("the pod {} is now {now}, and the token is of {}", pod.name, pod.uid),
            ));
        }
        let status = found.status.unwrap_or_default();
        if let Some(phase) = status.phase.filter(|phase| OVER.contains(&phase.as_str())) {
            return Err(refused(remote, &format!("the pod {} has ended ({phase})", pod.name)));
        }
        let ip = status.pod_ip.and_then(|ip| ip.parse().ok());
        let ip = ip.ok_or_else(|| fail!(Unavailable, "the pod {} has no address yet", pod.name))?;
        let node = found.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        let zone = self.zone(&node).await;
        Ok(Whereabouts { ip, node, zone })
    }

    /// The zone of a node. A peer without one is only found less often by those that are near.
    async fn zone(&self, node: &str) -> String {
        match self.cluster.get_global::<Node>(node).await {
            Ok(found) => {
                found.metadata.labels.and_then(|mut labels| labels.remove(ZONE)).unwrap_or_default()
            }
            Err(trouble) => {
                tracing::warn!(node, reason = %trouble, "the node of a pod cannot be read; its zone stays empty");
                String::new()
            }
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let turn = tokio::time::timeout(TURN, self.turn.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            fail!(
                Busy,
                "central asks Kubernetes about as many pods as it takes on at once; try again later"
            )
        })
    }

    /// Believes a review, or says why not.
    fn believe(&self, status: TokenReviewStatus) -> Result<Pod, String> {
        if status.authenticated != Some(true) {
            return Err(status
                .error
                .unwrap_or_else(|| "the token is not one of this cluster, or has ended".into()));
        }
        let audiences = status.audiences.unwrap_or_default();
        // An API server that knows no audiences names none: its word is not about ours.
        if !audiences.contains(&self.audience) {
            return Err(format!(
                "the token is for the audiences {audiences:?}, not for {}",
                self.audience
            ));
        }
        let user = status.user.unwrap_or_default();
        let username = user.username.unwrap_or_default();
        if username != self.username {
            return Err(format!("the token is of {username}, not of {}", self.username));
        }
        let mut extra = user.extra.unwrap_or_default();
        let (name, uid) = (only(&mut extra, POD_NAME), only(&mut extra, POD_UID));
        name.zip(uid)
            .map(|(name, uid)| Pod { name, uid })
            .ok_or_else(|| format!("the token of {username} is bound to no pod"))
    }
}

/// The one value under a key.
fn only(extra: &mut BTreeMap<String, Vec<String>>, key: &str) -> Option<String> {
    let [value] = <[String; 1]>::try_from(extra.remove(key)?).ok()?;
    Some(value).filter(|value| !value.is_empty())
}

fn refused(remote: IpAddr, reason: &str) -> Failure {
    tracing::warn!(reason, %remote, "the token of a pod is refused");
    fail!(Unauthenticated, "the token of this pod is refused; central's log says why")
}

/// Also where central may not ask: that is for whoever runs it to mend, and the peer tries again
/// meanwhile.
fn away(what: &str, trouble: &Trouble) -> Failure {
    tracing::warn!(reason = %trouble, "Kubernetes cannot be asked about {what}");
    fail!(Unavailable, "central cannot ask Kubernetes about this pod now; try again later")
}

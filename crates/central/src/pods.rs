//! Peers that are pods. Kubernetes says whose token it is and where that pod runs; nothing that a
//! peer says about itself is trusted.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus},
    core::v1::{Node, Pod as PodObject},
};
use peral_wire::{Failure, fail};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    cluster::{Cluster, ClusterError},
    config::Kubernetes,
    store::peers::{Pod, RegisteringPod},
};

/// Maximum number of questions to Kubernetes at the same time, and how long further ones wait.
const AT_ONCE: usize = 32;
const TURN: Duration = Duration::from_secs(2);
/// Maximum length of a pod's token, in bytes; those of Kubernetes have one or two thousand.
const LONGEST: usize = 16 << 10;
/// A pod in these phases has no process: its address may belong to another pod by now.
const OVER: [&str; 2] = ["Succeeded", "Failed"];
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Asks Kubernetes about pods.
pub(crate) struct Pods {
    cluster: Cluster,
    audience: String,
    /// The name of a peer's pod as a user of the API server.
    username: String,
    account: String,
    turn: Semaphore,
}

/// Where a pod runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub ip: IpAddr,
    pub node: String,
    /// Empty if it is not known.
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

    /// The registration of a pod.
    pub fn registering(&self, pod: Pod) -> RegisteringPod {
        RegisteringPod { pod, account: self.account.clone() }
    }

    /// The pod that has this token.
    ///
    /// # Errors
    /// UNAUTHENTICATED: it is not the token of a peer's pod; the log says why. UNAVAILABLE, BUSY.
    pub async fn review(&self, remote: IpAddr, token: &str) -> Result<Pod, Failure> {
        if token.is_empty() || token.len() > LONGEST {
            return Err(refused(remote, &format!("a token of {} bytes is invalid", token.len())));
        }
        let _turn = self.turn().await?;
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![self.audience.clone()]),
        };
        let asked = TokenReview { spec, ..TokenReview::default() };
        let answer =
            self.cluster.ask(&asked).await.map_err(|error| away("the token of a pod", &error))?;
        self.believe(answer.status.unwrap_or_default())
            .map_err(|reason| refused(remote, &reason.replace(token, "…")))
    }

    /// Where the pod runs, if it is still the one to which the token is bound.
    ///
    /// # Errors
    /// As [`Pods::review`].
    pub async fn find(&self, remote: IpAddr, pod: &Pod) -> Result<Whereabouts, Failure> {
        let _turn = self.turn().await?;
        let found: PodObject = match self.cluster.get(&pod.name).await {
            Err(error) if error.is(404) => {
                return Err(refused(remote, &format!("the pod {} no longer exists", pod.name)));
            }
            found => found.map_err(|error| away(&format!("the pod {}", pod.name), &error))?,
        };
        if found.metadata.uid.as_deref() != Some(&pod.uid) {
            let now = found.metadata.uid.unwrap_or_default();
            return Err(refused(
                remote,
                &format!(
                    "the pod {} now has the uid {now}, but the token is bound to {}",
                    pod.name, pod.uid
                ),
            ));
        }
        let status = found.status.unwrap_or_default();
        if let Some(phase) = status.phase.filter(|phase| OVER.contains(&phase.as_str())) {
            return Err(refused(
                remote,
                &format!("the pod {} has ended (phase {phase})", pod.name),
            ));
        }
        let ip = status.pod_ip.and_then(|ip| ip.parse().ok());
        let ip =
            ip.ok_or_else(|| fail!(Unavailable, "the pod {} has no IP address yet", pod.name))?;
        let node = found.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        let zone = self.zone(&node).await;
        Ok(Whereabouts { ip, node, zone })
    }

    /// The zone of a node. Without one, near peers are only less likely to choose this peer.
    async fn zone(&self, node: &str) -> String {
        match self.cluster.get_global::<Node>(node).await {
            Ok(found) => {
                found.metadata.labels.and_then(|mut labels| labels.remove(ZONE)).unwrap_or_default()
            }
            Err(error) => {
                tracing::warn!(
                    node,
                    reason = %error,
                    "cannot read the node of a pod; its zone stays empty"
                );
                String::new()
            }
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let turn = tokio::time::timeout(TURN, self.turn.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            fail!(Busy, "central has too many open requests to Kubernetes; try again later")
        })
    }

    /// The pod that a review names, or why it is not trusted.
    fn believe(&self, status: TokenReviewStatus) -> Result<Pod, String> {
        if status.authenticated != Some(true) {
            return Err(status.error.unwrap_or_else(|| {
                "the token is not valid in this cluster, or has expired".into()
            }));
        }
        let audiences = status.audiences.unwrap_or_default();
        // An API server without support for audiences names none, and has not checked ours.
        if !audiences.contains(&self.audience) {
            return Err(format!(
                "the token is for the audiences {audiences:?}, not for {}",
                self.audience
            ));
        }
        let user = status.user.unwrap_or_default();
        let username = user.username.unwrap_or_default();
        if username != self.username {
            return Err(format!("the token belongs to {username}, not to {}", self.username));
        }
        let mut extra = user.extra.unwrap_or_default();
        let (name, uid) = (only(&mut extra, POD_NAME), only(&mut extra, POD_UID));
        name.zip(uid)
            .map(|(name, uid)| Pod { name, uid })
            .ok_or_else(|| format!("the token of {username} is not bound to a pod"))
    }
}

/// The one value under a key.
fn only(extra: &mut BTreeMap<String, Vec<String>>, key: &str) -> Option<String> {
    let [value] = <[String; 1]>::try_from(extra.remove(key)?).ok()?;
    Some(value).filter(|value| !value.is_empty())
}

fn refused(remote: IpAddr, reason: &str) -> Failure {
    tracing::warn!(reason, %remote, "refused the token of a pod");
    fail!(
        Unauthenticated,
        "central refused the token of this pod; see central's log for the reason"
    )
}

/// Also if central lacks the permission to ask: its administrator must grant it, and the peer
/// retries until then.
fn away(what: &str, error: &ClusterError) -> Failure {
    tracing::warn!(reason = %error, "could not ask Kubernetes about {what}");
    fail!(
        Unavailable,
        "central cannot ask Kubernetes about this pod at the moment; try again later"
    )
}

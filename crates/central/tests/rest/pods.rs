//! Peers that are pods: trusted for what Kubernetes says and for their key, never for one alone.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use axum::http::StatusCode;
use peral_model::Identity;
use peral_runtime::tls::{KeyPkcs8Der, new_key};
use peral_wire::{
    ErrorCode, Failure,
    rest::{
        accounts::{Account, AccountChange, Role},
        peers::{
            ListedState, Notice, Peer as Listed, PeerChange, PeerState, RegisterRequest,
            Registration,
        },
        sessions::{Credentials, RenewRequest},
    },
};
use serde_json::json;

use crate::{
    cluster::{AUDIENCE, Cluster, NAMESPACE, config, good},
    support::{Net, code, csr, registration},
};

async fn start() -> (Net, Cluster) {
    let cluster = Cluster::start().await;
    let net = Net::start_with(|config| cluster.joins(config)).await;
    (net, cluster)
}

/// What a peer says about itself; only the port may be trusted.
fn boasting(key: &KeyPkcs8Der, token: Option<&str>) -> RegisterRequest {
    let own = registration(key, None, "10.66.66.66:7071");
    RegisterRequest {
        pod_token: token.map(Into::into),
        label: "liar".into(),
        node: "nowhere".into(),
        zone: "none".into(),
        ..own
    }
}

async fn register(
    net: &Net,
    key: &KeyPkcs8Der,
    token: Option<&str>,
) -> Result<Registration, Failure> {
    net.client().register(&net.prove(&boasting(key, token), key).await).await
}

async fn renew(
    net: &Net,
    key: &KeyPkcs8Der,
    known: &Registration,
    token: Option<&str>,
) -> Result<Credentials, Failure> {
    let request = RenewRequest {
        identity: Identity::Peer(known.peer),
        csr: csr(key),
        epoch: Some(known.epoch),
        pod_token: token.map(Into::into),
    };
    net.client().renew(&net.prove(&request, key).await).await
}

async fn listed(net: &Net) -> Vec<Listed> {
    net.root().await.api.peers().await.unwrap().items
}

async fn account(net: &Net, name: &str) -> Option<Account> {
    net.root()
        .await
        .api
        .accounts()
        .await
        .unwrap()
        .items
        .into_iter()
        .find(|account| account.name == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_joins_by_its_token_and_is_where_kubernetes_says() {
    let (net, cluster) = start().await;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    assert!(account(&net, "peers").await.is_none());
    let first = register(&net, &key, Some(&token)).await.unwrap();
    let peers = listed(&net).await;
    let peer = &peers[0];
    let shown =
        [&peer.label, &peer.account, &peer.address, &peer.node, &peer.zone].map(String::as_str);
    assert_eq!(
        (peers.len(), shown),
        (1, ["peral-peer-0", "peers", "10.1.2.3:7071", "worker-1", "z"])
    );
    let created = account(&net, "peers").await.unwrap();
    assert_eq!((created.role, created.disabled, created.id), (Role::Member, false, first.account));
    assert_eq!(
        cluster.look().audiences,
        [json!([AUDIENCE])],
        "Kubernetes was asked for our audience"
    );

    // The pod was created again: the same peer, at the address of the new pod.
    let again = cluster.pod("peral-peer-0", "u2", "10.1.2.9");
    let second = register(&net, &key, Some(&again)).await.unwrap();
    assert_eq!((second.peer, second.epoch), (first.peer, first.epoch + 1));
    assert_eq!(listed(&net).await[0].address, "10.1.2.9:7071");
    renew(&net, &key, &second, Some(&again)).await.unwrap();
    net.client().with_token(&second.credentials.token).whoami().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_a_peers_pods_lets_nobody_in() {
    let (net, cluster) = start().await;
    let token = cluster.pod("peral-peer-0", "u1", "10.1.2.3");
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut review = good("peral-peer-0", "u1");
        change(&mut review);
        review
    };
    let user = |name: &str| changed(&|review| review["user"]["username"] = json!(name));
    let reviews = [
        json!({ "authenticated": false, "error": "expired" }),
        json!({}),
        changed(&|review| review["authenticated"] = json!(false)),
        changed(&|review| review["audiences"] = json!([])),
        changed(&|review| review["audiences"] = json!(["https://kubernetes.default.svc"])),
        changed(&|review| drop(review.as_object_mut().unwrap().remove("audiences"))),
        user("system:serviceaccount:other:peral-peer"),
        user(&format!("system:serviceaccount:{NAMESPACE}:default")),
        user("peral-peer"),
        changed(&|review| review["user"]["extra"] = json!({})),
        changed(&|review| {
            review["user"]["extra"]["authentication.kubernetes.io/pod-uid"] = json!([]);
        }),
        changed(&|review| {
            review["user"]["extra"]["authentication.kubernetes.io/pod-uid"] = json!(["u2"]);
        }),
        changed(&|review| {
            review["user"]["extra"]["authentication.kubernetes.io/pod-name"] = json!(["gone"]);
        }),
    ];
    for review in reviews {
        cluster.look().reviews.insert(token.clone(), review.clone());
        let refused = register(&net, &new_key(), Some(&token)).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::Unauthenticated, "{review}: {refused}");
        assert!(refused.detail.contains("log"), "{refused}");
    }
    let asked = cluster.look().asked.len();
    for none in [String::new(), "x".repeat(20_000)] {
        assert_eq!(
            code(register(&net, &new_key(), Some(&none)).await),
            ErrorCode::Unauthenticated,
            "{} bytes",
            none.len()
        );
    }
    assert_eq!(
        cluster.look().asked.len(),
        asked,
        "Kubernetes is not asked about what cannot be a token"
    );
    assert_eq!(code(register(&net, &new_key(), Some("made up")).await), ErrorCode::Unauthenticated);
    assert_eq!(code(register(&net, &new_key(), None).await), ErrorCode::Unauthenticated);
    let both = RegisterRequest {
        join_token: Some(net.join_token("root", 1).await),
        ..boasting(&new_key(), Some(&token))
    };
    let key = new_key();
    let both = RegisterRequest { csr: csr(&key), ..both };
    assert_eq!(
        code(net.client().register(&net.prove(&both, &key).await).await),
        ErrorCode::InvalidArgument
    );
    assert!(
        listed(&net).await.is_empty() && account(&net, "peers").await.is_none(),
        "nothing was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_pod_is_refused_from_another() {
    let (net, cluster) = start().await;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    let first = register(&net, &key, Some(&token)).await.unwrap();
    let other = cluster.pod("peral-peer-1", "u5", "10.1.2.4");
    assert_eq!(code(register(&net, &key, Some(&other)).await), ErrorCode::Unauthenticated);
    assert_eq!(code(renew(&net, &key, &first, Some(&other)).await), ErrorCode::Unauthenticated);
    let copied = net.prove(&boasting(&key, Some(&token)), &new_key()).await;
    assert_eq!(
        code(net.client().register(&copied).await),
        ErrorCode::Unauthenticated,
        "the token without the key"
    );
    // The key alone is as little.
    assert_eq!(code(register(&net, &key, None).await), ErrorCode::Unauthenticated);
    let join = RegisterRequest {
        join_token: Some(net.join_token("root", 1).await),
        ..boasting(&key, None)
    };
    assert_eq!(
        code(net.client().register(&net.prove(&join, &key).await).await),
        ErrorCode::Unauthenticated
    );
    let refused = renew(&net, &key, &first, None).await.err().unwrap();
    assert!(
        refused.code == ErrorCode::Unauthenticated && refused.detail.contains("--pod-token-file"),
        "{refused}"
    );
    let later = cluster.pod("peral-peer-0", "u9", "10.1.2.3");
    assert_eq!(
        code(renew(&net, &key, &first, Some(&later)).await),
        ErrorCode::Unauthenticated,
        "another pod of that name registers first"
    );
    assert_eq!(register(&net, &key, Some(&later)).await.unwrap().epoch, first.epoch + 1);
    assert_eq!(listed(&net).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_a_known_pod_ends_the_peer_that_it_was() {
    let (net, cluster) = start().await;
    let watcher = net.peer("root").await;
    let obeyed = watcher.beat(PeerState::Ready, 0).await.unwrap().obeyed;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    let lost = register(&net, &key, Some(&token)).await.unwrap();
    let fresh = new_key();
    let again = cluster.pod("peral-peer-0", "u2", "10.1.2.3");
    let new = register(&net, &fresh, Some(&again)).await.unwrap();
    assert_ne!(new.peer, lost.peer);
    assert_eq!((new.epoch, new.account), (1, lost.account));
    assert_eq!(
        code(net.client().with_token(&lost.credentials.token).whoami().await),
        ErrorCode::Unauthenticated
    );
    assert_eq!(code(register(&net, &key, Some(&again)).await), ErrorCode::Revoked);
    cluster.look().reviews.clear();
    assert_eq!(
        code(renew(&net, &key, &lost, Some(&token)).await),
        ErrorCode::Revoked,
        "it hears so without its pod too"
    );
    let told = watcher.beat(PeerState::Ready, obeyed).await.unwrap().notices;
    let revoked = told.iter().any(|notice| match notice {
        Notice::Revoked { identity, .. } => *identity == Identity::Peer(lost.peer),
        _ => false,
    });
    assert!(revoked, "{told:?}");
    let mut states: Vec<_> = listed(&net)
        .await
        .into_iter()
        .filter(|peer| peer.label == "peral-peer-0")
        .map(|peer| (peer.id == new.peer, peer.state))
        .collect();
    states.sort_by_key(|(new, _)| *new);
    assert_eq!(states, [(false, ListedState::Revoked), (true, ListedState::Ready)]);
}

/// A stolen token of a pod neither lets another process be that pod, nor ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_has_one_key_for_its_life() {
    let (net, cluster) = start().await;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    let known = register(&net, &key, Some(&token)).await.unwrap();
    let refused = register(&net, &new_key(), Some(&token)).await.err().unwrap();
    assert!(
        refused.code == ErrorCode::Unauthenticated && refused.detail.contains("delete the pod"),
        "{refused}"
    );
    net.client().with_token(&known.credentials.token).whoami().await.unwrap();
    assert_eq!(register(&net, &key, Some(&token)).await.unwrap().epoch, known.epoch + 1);
    // A key that was revoked for good is not changed for another either, until somebody makes the
    // pod anew.
    net.root().await.api.change_peer(known.peer, &PeerChange { revoked: true }).await.unwrap();
    assert_eq!(code(register(&net, &new_key(), Some(&token)).await), ErrorCode::Unauthenticated);
    let again = cluster.pod("peral-peer-0", "u2", "10.1.2.3");
    assert_ne!(register(&net, &new_key(), Some(&again)).await.unwrap().peer, known.peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_joined_by_a_join_token_becomes_no_pod() {
    let (net, cluster) = start().await;
    let peer = net.peer("root").await;
    let token = cluster.pod("peral-peer-0", "u1", "10.1.2.3");
    let refused = register(&net, &peer.key, Some(&token)).await.err().unwrap();
    assert!(
        refused.code == ErrorCode::Unauthenticated && refused.detail.contains("join token"),
        "{refused}"
    );
    assert_eq!(
        code(renew(&net, &peer.key, &peer.done, Some(&token)).await),
        ErrorCode::Unauthenticated
    );
    net.register(peer.key.clone(), None).await.unwrap();

    let plain = Net::start().await;
    let refused = register(&plain, &new_key(), Some(&token)).await.err().unwrap();
    assert!(
        refused.code == ErrorCode::Unauthenticated
            && refused.detail.contains("--kubernetes-audience"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_takes_no_pods() {
    let (net, cluster) = start().await;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    let first = register(&net, &key, Some(&token)).await.unwrap();
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    net.root().await.api.change_account(first.account, &disable).await.unwrap();
    assert_eq!(code(register(&net, &key, Some(&token)).await), ErrorCode::Unauthenticated);
    let other = cluster.pod("peral-peer-1", "u2", "10.1.2.4");
    assert_eq!(code(register(&net, &new_key(), Some(&other)).await), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_without_address_or_zone() {
    let (net, cluster) = start().await;
    let token = cluster.pod("peral-peer-0", "u1", "169.254.169.254");
    assert_eq!(code(register(&net, &new_key(), Some(&token)).await), ErrorCode::InvalidAddress);
    let pod = format!("/api/v1/namespaces/{NAMESPACE}/pods/peral-peer-0");
    cluster.look().objects.get_mut(&pod).unwrap()["status"] = json!({});
    assert_eq!(
        code(register(&net, &new_key(), Some(&token)).await),
        ErrorCode::Unavailable,
        "it has none yet"
    );
    for phase in ["Succeeded", "Failed"] {
        cluster.look().objects.get_mut(&pod).unwrap()["status"] =
            json!({ "podIP": "10.1.2.3", "phase": phase });
        assert_eq!(
            code(register(&net, &new_key(), Some(&token)).await),
            ErrorCode::Unauthenticated,
            "its address may be another's"
        );
    }
    cluster.look().objects.get_mut(&pod).unwrap()["status"] =
        json!({ "podIP": "fd00::7", "phase": "Running" });
    cluster.look().objects.remove("/api/v1/nodes/worker-1").unwrap();
    register(&net, &new_key(), Some(&token)).await.unwrap();
    let peer = &listed(&net).await[0];
    assert_eq!(
        (peer.address.as_str(), peer.node.as_str(), peer.zone.as_str()),
        ("[fd00::7]:7071", "worker-1", "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_is_a_reason_to_try_again() {
    let (net, cluster) = start().await;
    let (key, token) = (new_key(), cluster.pod("peral-peer-0", "u1", "10.1.2.3"));
    let joined = register(&net, &key, Some(&token)).await.unwrap();
    // Central is not allowed to ask: its log says so, and the pod retries.
    cluster.look().faults = vec![StatusCode::FORBIDDEN];
    assert_eq!(code(register(&net, &key, Some(&token)).await), ErrorCode::Unavailable);
    cluster.look().faults = vec![StatusCode::INTERNAL_SERVER_ERROR];
    assert_eq!(code(renew(&net, &key, &joined, Some(&token)).await), ErrorCode::Unavailable);
    // Central gives up on one that never answers.
    cluster.look().mute = true;
    let failure = register(&net, &key, Some(&token)).await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::Unavailable);
    assert!(!failure.detail.contains(&net.base), "the caller gave up on central: {failure}");
    cluster.look().mute = false;
    register(&net, &key, Some(&token)).await.unwrap();

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let alone = Net::start_with(|central| {
        cluster.joins(central);
        *central.kubernetes.as_mut().unwrap().cluster = config(nobody);
    })
    .await;
    assert_eq!(code(register(&alone, &new_key(), Some(&token)).await), ErrorCode::Unavailable);
    alone.peer("root").await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread, so that all of central logs here.
#[tokio::test]
async fn the_log_says_why_and_never_has_the_token() {
    let log = Log::default();
    let into = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || into.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let (net, cluster) = start().await;
    let token = cluster.pod("peral-peer-0", "u1", "10.1.2.3");
    register(&net, &new_key(), Some(&token)).await.unwrap();
    let refused = format!("{token}.made.up");
    assert_eq!(code(register(&net, &new_key(), Some(&refused)).await), ErrorCode::Unauthenticated);
    // What cannot be read has the token too.
    cluster.look().reviews.insert(token.clone(), json!({ "authenticated": { "token": token } }));
    assert_eq!(code(register(&net, &new_key(), Some(&token)).await), ErrorCode::Unavailable);
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("invalid bearer token …"), "{text}");
    assert!(text.contains("cannot read its answer"), "{text}");
    assert!(
        !text.contains(&token),
        "the token is in the log: {}",
        text.lines().find(|line| line.contains(&token)).unwrap()
    );
}

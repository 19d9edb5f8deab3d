//! A peer that is a pod: it shows its pod's token at each registration and renewal, as the file has
//! it then.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use peral_central::Kubernetes;
use peral_peer::{Config, args::PodToken};
use peral_runtime::{Clock, MockClock, SystemClock};
use peral_wire::ErrorCode;
use serde_json::{Value, json};

use super::support::{Net, Node, until};

const UID: &str = "8c1f";
/// Between two heartbeats, and within what time there were some.
const BEAT: Duration = Duration::from_secs(1);
const BEATS: Duration = Duration::from_secs(4);

/// The one token that is good now, and those that were shown.
#[derive(Default)]
struct Tokens {
    good: String,
    shown: Vec<String>,
}

/// An API server with one pod, here.
async fn api_server() -> (kube::Config, Arc<Mutex<Tokens>>) {
    let tokens = Arc::<Mutex<Tokens>>::default();
    let pod = json!({ "metadata": { "name": "p-0", "uid": UID }, "spec": { "nodeName": "n", "containers": [] }, "status": { "podIP": "127.0.0.1" } });
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
        .route("/api/v1/namespaces/pears/pods/p-0", get(async move || Json(pod)))
        .route("/api/v1/nodes/n", get(async || Json(json!({ "metadata": { "name": "n" } }))))
        .with_state(Arc::clone(&tokens));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config =
        kube::Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    (config.default_namespace, config.root_cert) = ("pears".into(), Some(vec![]));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (config, tokens)
}

async fn review(
    State(tokens): State<Arc<Mutex<Tokens>>>,
    Json(mut asked): Json<Value>,
) -> Json<Value> {
    let mut tokens = tokens.lock().unwrap();
    let shown = asked["spec"]["token"].as_str().unwrap().to_owned();
    let extra = json!({ "authentication.kubernetes.io/pod-name": ["p-0"], "authentication.kubernetes.io/pod-uid": [UID] });
    let user = json!({ "username": "system:serviceaccount:pears:peer", "extra": extra });
    asked["status"] =
        json!({ "authenticated": shown == tokens.good, "audiences": ["a"], "user": user });
    tokens.shown.push(shown);
    Json(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_shows_the_token_that_its_pod_has_now() {
    let (cluster, tokens) = api_server().await;
    let kubernetes = Kubernetes {
        cluster: Box::new(cluster),
        audience: "a".into(),
        service_account: "peer".into(),
        account: "peers".into(),
    };
    let clock = Arc::new(MockClock::new(SystemClock::new().now_ms()));
    let net = Net::start_with(Some(kubernetes), clock.clone()).await;
    let file = net.folder.path().join("token");
    let give = |token: &str| {
        fs::write(&file, format!("{token}\n")).unwrap();
        tokens.lock().unwrap().good = token.into();
    };
    let config = Config {
        join_token: None,
        pod_token: Some(PodToken(file.clone())),
        heartbeat: BEAT,
        ..net.config("root", "one").await
    };

    let failure = Node::start(config.clone()).await.fails().await;
    assert!(
        failure.code == ErrorCode::InvalidArgument
            && failure.detail.contains(file.to_str().unwrap()),
        "{failure}"
    );

    give("first");
    let mut peer = Node::start(config).await;
    peer.until_ready().await;
    let (id, epoch) = (peer.id().await, peer.status().await.unwrap().epoch);
    let root = net.log_in("root").await;
    let listed = root.api.peers().await.unwrap().items.remove(0);
    assert_eq!(
        (listed.label.as_str(), listed.account.as_str(), listed.node.as_str()),
        ("p-0", "peers", "n")
    );

    // The kubelet wrote another token, and central's ended: the peer renews with the pod's new one.
    give("second");
    let renewed = || tokens.lock().unwrap().shown.contains(&"second".to_owned());
    let mut ended = Instant::now() - BEATS;
    until("the peer renews", async || {
        // A heartbeat that was on its way brings a token of the new time home: that one has to end
        // as well.
        if !renewed() && ended.elapsed() >= BEATS {
            clock.advance(Duration::from_secs(16 * 60));
            ended = Instant::now();
        }
        renewed().then_some(())
    })
    .await;
    peer.until_ready().await;
    assert_eq!(peer.status().await.unwrap().epoch, epoch, "no registration");
    until("central takes its heartbeats", async || {
        peer.status().await?.troubles.is_empty().then_some(())
    })
    .await;

    give("third");
    let config = peer.stop().await;
    let again = Node::start(config).await;
    // It serves at once by what is on its disk, and registers meanwhile.
    until("the next epoch", async || {
        again.status().await.filter(|status| status.epoch == epoch + 1)
    })
    .await;
    assert_eq!(again.id().await, id);
    let mut shown = tokens.lock().unwrap().shown.clone();
    shown.dedup();
    assert_eq!(shown, ["first", "second", "third"], "each time as it was then");
}

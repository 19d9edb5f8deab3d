//! A peer that is a pod: it shows its pod's token at each registration and renewal, as the file has
//! it then.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use peral_central::Kubernetes;
use peral_peer::{Config, PodToken};
use peral_runtime::{Clock, MockClock, SystemClock};
use peral_testkit::until;
use peral_wire::ErrorCode;
use serde_json::{Value, json};

use super::support::{Net, Node};

const UID: &str = "8c1f";
/// Longer than a token of central's counts.
const A_TOKENS_LIFE: Duration = Duration::from_secs(16 * 60);

/// The one token that is good now, and those that were shown.
#[derive(Default)]
struct Tokens {
    good: String,
    shown: Vec<String>,
}

/// An API server with one pod, here.
async fn api_server() -> (kube::Config, Arc<Mutex<Tokens>>) {
    let tokens = Arc::<Mutex<Tokens>>::default();
    let pod = json!({
        "metadata": { "name": "p-0", "uid": UID },
        "spec": { "nodeName": "n", "containers": [] },
        "status": { "podIP": "127.0.0.1" },
    });
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
    let extra = json!({
        "authentication.kubernetes.io/pod-name": ["p-0"],
        "authentication.kubernetes.io/pod-uid": [UID],
    });
    let user = json!({ "username": "system:serviceaccount:pears:peer", "extra": extra });
    asked["status"] =
        json!({ "authenticated": shown == tokens.good, "audiences": ["a"], "user": user });
    tokens.shown.push(shown);
    Json(asked)
}

/// A network whose central takes pods by their tokens, and one such pod.
struct World {
    net: Net,
    clock: Arc<MockClock>,
    tokens: Arc<Mutex<Tokens>>,
    /// The file in which the pod has its token.
    file: PathBuf,
}

impl World {
    async fn start() -> Self {
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
        Self { net, clock, tokens, file }
    }

    /// The kubelet writes another token: the only one that counts from now on.
    fn give(&self, token: &str) {
        fs::write(&self.file, format!("{token}\n")).unwrap();
        self.tokens.lock().unwrap().good = token.into();
    }

    fn was_shown(&self, token: &str) -> bool {
        self.tokens.lock().unwrap().shown.iter().any(|shown| shown == token)
    }

    /// Lets time pass at central until the peer shows this token, because those of central's that
    /// it had have ended.
    async fn until_shown(&self, token: &str) {
        while !self.was_shown(token) {
            self.clock.advance(A_TOKENS_LIFE);
            let (now, root) = (self.clock.now_ms(), self.net.log_in("root").await);
            // A heartbeat that was on its way brings a token of the new time home: that one has to
            // end as well.
            until("the peer renews, or central takes a heartbeat", async || {
                let seen = root.api.peers().await.unwrap().items[0].seen_ms;
                self.was_shown(token) || seen >= now
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_shows_the_token_that_its_pod_has_now() {
    let world = World::start().await;
    let config = Config {
        join_token: None,
        pod_token: Some(PodToken(world.file.clone())),
        ..world.net.config("root", "one").await
    };
    let failure = Node::start(config.clone()).await.fails().await;
    assert!(
        failure.code == ErrorCode::InvalidArgument
            && failure.detail.contains(world.file.to_str().unwrap()),
        "{failure}"
    );

    world.give("first");
    let mut peer = Node::start(config).await;
    peer.until_ready().await;
    let (id, epoch) = (peer.id().await, peer.status().await.unwrap().epoch);
    let root = world.net.log_in("root").await;
    let listed = root.api.peers().await.unwrap().items.remove(0);
    assert_eq!(
        (listed.label.as_str(), listed.account.as_str(), listed.node.as_str()),
        ("p-0", "peers", "n")
    );

    // Central's token ended: the peer renews with the one that the pod has now.
    world.give("second");
    world.until_shown("second").await;
    peer.until_ready().await;
    assert_eq!(peer.status().await.unwrap().epoch, epoch, "no registration");
    until("central takes its heartbeats", async || {
        peer.status().await.is_some_and(|status| status.troubles.is_empty())
    })
    .await;

    world.give("third");
    let config = peer.stop().await;
    let again = Node::start(config).await;
    // It serves at once by what is on its disk, and registers meanwhile.
    until("the next epoch", async || {
        again.status().await.filter(|status| status.epoch == epoch + 1)
    })
    .await;
    assert_eq!(again.id().await, id);
    let mut shown = world.tokens.lock().unwrap().shown.clone();
    shown.dedup();
    assert_eq!(shown, ["first", "second", "third"], "each time as it was then");
}

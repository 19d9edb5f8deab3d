//! An API server of Kubernetes, as far as central asks one: it keeps pods, nodes, Secrets and
//! ConfigMaps, and reviews tokens.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use peral_central::{Config, Kubernetes};
use serde_json::{Value, json};

pub const NAMESPACE: &str = "pears";
pub const AUDIENCE: &str = "peral.pears.peral";

/// What is there, and what went wrong.
#[derive(Default)]
pub struct Objects {
    /// What is said of each token: the status of its review.
    pub reviews: BTreeMap<String, Value>,
    /// Objects by path.
    pub objects: BTreeMap<String, Value>,
    /// Each request is answered so, for that many times.
    pub faults: Vec<StatusCode>,
    /// Nothing is answered.
    pub mute: bool,
    /// Method and path of each request.
    pub asked: Vec<String>,
    /// The audiences of each review.
    pub audiences: Vec<Value>,
}

type Shared = Arc<Mutex<Objects>>;

/// A running API server.
pub struct Cluster {
    pub address: SocketAddr,
    state: Shared,
}

impl Cluster {
    pub async fn start() -> Self {
        let state = Shared::default();
        let named = "/api/v1/namespaces/{namespace}/{kind}/{name}";
        let router = Router::new()
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
            .route(named, get(read))
            .route("/api/v1/nodes/{name}", get(read))
            .route("/api/v1/namespaces/{namespace}/{kind}", post(create))
            .fallback(async || {
                failure(StatusCode::FORBIDDEN, "that needs no right that central has")
            })
            .layer(axum::middleware::from_fn_with_state(state.clone(), meddle))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub fn look(&self) -> MutexGuard<'_, Objects> {
        self.state.lock().unwrap()
    }

    /// As a pod's mounted service account gives it.
    pub fn config(&self) -> kube::Config {
        config(self.address)
    }

    /// Lets pods join.
    pub fn joins(&self, central: &mut Config) {
        let (audience, service_account, account) =
            (AUDIENCE.to_owned(), "peral-peer".into(), "peers".into());
        central.kubernetes = Some(Kubernetes {
            cluster: Box::new(self.config()),
            audience,
            service_account,
            account,
        });
    }

    /// A pod with its token, on a node of the zone `z`.
    pub fn pod(&self, name: &str, uid: &str, ip: &str) -> String {
        let token = format!("token.of.{name}.{uid}");
        let mut here = self.look();
        let (metadata, spec) = (
            json!({ "name": name, "namespace": NAMESPACE, "uid": uid }),
            json!({ "nodeName": "worker-1", "containers": [] }),
        );
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": metadata, "spec": spec, "status": { "podIP": ip },
        });
        here.objects.insert(format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}"), pod);
        let labels = json!({ "topology.kubernetes.io/zone": "z" });
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": "worker-1", "labels": labels },
        });
        here.objects.insert("/api/v1/nodes/worker-1".into(), node);
        here.reviews.insert(token.clone(), good(name, uid));
        token
    }

    pub fn object(&self, kind: &str, name: &str) -> Option<Value> {
        self.look().objects.get(&format!("/api/v1/namespaces/{NAMESPACE}/{kind}/{name}")).cloned()
    }

    pub fn remove(&self, kind: &str, name: &str) {
        self.look()
            .objects
            .remove(&format!("/api/v1/namespaces/{NAMESPACE}/{kind}/{name}"))
            .unwrap();
    }
}

pub fn config(address: SocketAddr) -> kube::Config {
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_namespace = NAMESPACE.into();
    // No roots: this one speaks plaintext.
    config.root_cert = Some(vec![]);
    config
}

/// The review of a good token of a pod.
pub fn good(name: &str, uid: &str) -> Value {
    let extra = json!({
        "authentication.kubernetes.io/pod-name": [name],
        "authentication.kubernetes.io/pod-uid": [uid],
        "authentication.kubernetes.io/node-name": ["worker-1"],
    });
    let user = json!({
        "username": format!("system:serviceaccount:{NAMESPACE}:peral-peer"), "uid": "1",
        "groups": ["system:authenticated"], "extra": extra,
    });
    json!({ "authenticated": true, "audiences": [AUDIENCE], "user": user })
}

fn failure(status: StatusCode, message: &str) -> Response {
    let said = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": status.canonical_reason(), "code": status.as_u16(),
    });
    (status, Json(said)).into_response()
}

async fn meddle(
    State(state): State<Shared>,
    method: Method,
    uri: Uri,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let (mute, fault) = {
        let mut here = state.lock().unwrap();
        here.asked.push(format!("{method} {}", uri.path()));
        (here.mute, here.faults.pop())
    };
    if mute {
        std::future::pending::<()>().await;
    }
    match fault {
        Some(status) => failure(status, "as the test wants it"),
        None => next.run(request).await,
    }
}

async fn review(State(state): State<Shared>, Json(mut asked): Json<Value>) -> Response {
    let mut here = state.lock().unwrap();
    let token = asked["spec"]["token"].as_str().unwrap().to_owned();
    here.audiences.push(asked["spec"]["audiences"].clone());
    let unknown = json!({
        "authenticated": false, "user": {}, "error": format!("invalid bearer token {token}"),
    });
    asked["status"] = here.reviews.get(&token).cloned().unwrap_or(unknown);
    (StatusCode::CREATED, Json(asked)).into_response()
}

async fn read(State(state): State<Shared>, uri: Uri) -> Response {
    let found = state.lock().unwrap().objects.get(uri.path()).cloned();
    found.map_or_else(
        || failure(StatusCode::NOT_FOUND, &format!("{} not found", uri.path())),
        |object| Json(object).into_response(),
    )
}

async fn create(
    State(state): State<Shared>,
    Path((namespace, kind)): Path<(String, String)>,
    Json(object): Json<Value>,
) -> Response {
    let path = format!(
        "/api/v1/namespaces/{namespace}/{kind}/{}",
        object["metadata"]["name"].as_str().unwrap()
    );
    let mut here = state.lock().unwrap();
    if namespace != NAMESPACE || !["secrets", "configmaps"].contains(&kind.as_str()) {
        return failure(StatusCode::FORBIDDEN, "not there");
    }
    if here.objects.contains_key(&path) {
        return failure(StatusCode::CONFLICT, "already exists");
    }
    here.objects.insert(path, object.clone());
    (StatusCode::CREATED, Json(object)).into_response()
}

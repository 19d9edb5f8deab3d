//! One transfer is one trace, read back from a real Jaeger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{
    Forward, PATIENCE, Release, Space, eventually, figure, restricted, restricted_container,
    settings,
};

/// Jaeger, in memory, with a Service.
fn jaeger(space: &Space) {
    let labels = json!({ "app": "jaeger" });
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "jaeger", "labels": labels },
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": restricted(),
            "containers": [{
                "name": "jaeger", "image": settings().jaeger, "imagePullPolicy": "IfNotPresent",
                "securityContext": restricted_container(),
                "env": [{ "name": "JAEGER_LISTEN_HOST", "value": "0.0.0.0" }],
                "readinessProbe": { "tcpSocket": { "port": 16686 }, "periodSeconds": 1 },
                "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
            }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        },
    }));
    let port = |name: &str, port: u16| json!({ "name": name, "port": port });
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "jaeger" },
        "spec": { "selector": labels, "ports": [port("otlp", 4317), port("query", 16686)] },
    }));
    space.ok(&["wait", "--for=condition=Ready", "pod/jaeger", "--timeout=90s"]);
}

fn ask(forward: &Forward, path: &str) -> Option<Value> {
    let answer = forward.get(path).ok().filter(|answer| answer.status == 200)?;
    Some(serde_json::from_str::<Value>(&answer.body).unwrap()["data"].clone())
}

/// A trace as the checks need it.
struct Tree {
    /// Processes by where they ran: pod and service.
    hops: BTreeSet<String>,
    roots: Vec<String>,
    lost: Vec<String>,
    spans: usize,
    operations: BTreeMap<String, usize>,
}

fn tree(trace: &Value) -> Tree {
    let spans = trace["spans"].as_array().unwrap();
    let ids: BTreeSet<_> = spans.iter().map(|span| span["spanID"].as_str().unwrap()).collect();
    let operation = |span: &Value| span["operationName"].as_str().unwrap().to_owned();
    let parent = |span: &Value| {
        span["references"]
            .as_array()
            .and_then(|all| all.first())
            .map(|one| one["spanID"].as_str().unwrap().to_owned())
    };
    let tag = |process: &Value, key: &str| {
        let tags = process["tags"].as_array().cloned().unwrap_or_default();
        tags.iter()
            .find(|tag| tag["key"] == key)
            .and_then(|tag| tag["value"].as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let hops = trace["processes"].as_object().unwrap().values().map(|process| {
        format!("{} in {}", process["serviceName"].as_str().unwrap(), tag(process, "k8s.pod.name"))
    });
    let mut operations = BTreeMap::new();
    for span in spans {
        *operations.entry(operation(span)).or_default() += 1;
    }
    Tree {
        hops: hops.collect(),
        roots: spans.iter().filter(|span| parent(span).is_none()).map(operation).collect(),
        lost: spans
            .iter()
            .filter(|span| parent(span).is_some_and(|id| !ids.contains(id.as_str())))
            .map(operation)
            .collect(),
        spans: spans.len(),
        operations,
    }
}

/// Waits until Jaeger has a whole tree whose root is called `root` and which has spans of all these
/// pods and operations.
fn found(jaeger: &Forward, root: &str, pods: &[&str], operations: &[&str]) -> Tree {
    let tree = eventually(
        &format!("Jaeger has a trace of {root} with spans of {pods:?}"),
        PATIENCE,
        || {
            let services = ask(jaeger, "/api/services")?;
            let services = services
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>();
            let traces = services.iter().filter_map(|name| {
                ask(jaeger, &format!("/api/traces?service={name}&limit=200&lookback=1h"))
            });
            let traces: Vec<_> =
                traces.flat_map(|all| all.as_array().cloned().unwrap_or_default()).collect();
            let trees =
                traces.iter().map(tree).filter(|tree| tree.roots.iter().any(|name| name == root));
            let is_whole = |tree: &Tree| {
                let has = |pod: &&str| tree.hops.iter().any(|hop| hop.contains(pod));
                tree.lost.is_empty()
                    && pods.iter().all(has)
                    && operations.iter().all(|name| tree.operations.contains_key(*name))
            };
            trees.into_iter().find(is_whole)
        },
    );
    assert_eq!(tree.roots, [root]);
    figure(
        "trace",
        json!({
            "root": root, "spans": tree.spans, "hops": tree.hops, "operations": tree.operations,
        }),
    );
    tree
}

const UPLOAD: [&str; 3] = ["POST /v1/uploads", "peral.v1.ControlService/Upload", "POST /v1/files"];
const DOWNLOAD: [&str; 3] =
    ["POST /v1/sources", "peral.v1.ControlService/Download", "peral.v1.PeerService/DownloadFile"];

/// Shows: an upload and a download of a file of over 100 MB by `kubectl exec` are one trace each,
/// with one root: the command, central, the peer that fetches and the peer that sends are all in
/// its tree, and no span has lost its parent.
#[test]
fn one_transfer_is_one_tree_in_jaeger() {
    let space = Space::new("trace");
    jaeger(&space);
    let endpoint = format!("telemetry.otlpEndpoint=http://jaeger.{}.svc:4317", space.name);
    let release = Release::install(
        &space,
        &["peer.replicas=2", "telemetry.tracesSampler=always_on", &endpoint],
    );
    release.upload(0, &settings().file, "trace/driver.so");
    release.peral(1, &["download", "trace/driver.so"]);

    let forward = Forward::open(&space, "pod/jaeger", 16686);
    found(&forward, "peral upload", &["peral-central", "peral-peer-0"], &UPLOAD);
    let tree = found(
        &forward,
        "peral download",
        &["peral-central", "peral-peer-0", "peral-peer-1"],
        &DOWNLOAD,
    );
    let commands = tree.hops.iter().filter(|hop| *hop == "peral in peral-peer-1").count();
    assert_eq!(
        (tree.hops.len(), commands),
        (4, 1),
        "the command, central, two peers: {:?}",
        tree.hops
    );
}

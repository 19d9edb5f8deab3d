//! Several centrals on one Postgres outside of the release, and what they do without it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    Release, Space, b3sum, eventually, figure, noise_file, restricted_container, settings,
};

/// How long the database is away at least: longer than it takes a kubelet to see that a pod is not
/// live.
const AWAY: Duration = Duration::from_secs(75);

/// What runs in the pod of the database: any image with Postgres on its PATH can do it.
const START: &str = "set -eu; data=/var/lib/postgresql/data; \
    [ -s $data/PG_VERSION ] || \
    { echo outside > /tmp/password; \
    initdb -D $data -U app --pwfile=/tmp/password --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8; \
    echo 'host all all all scram-sha-256' >> $data/pg_hba.conf; }; \
    exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp";

/// A Postgres of the test's own, and the Secret that leads to it, in the form that CloudNativePG
/// gives.
fn outside(space: &Space) {
    let labels = json!({ "app": "outside" });
    let passwd = "postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh\n";
    space.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "outside" },
        "data": { "passwd": passwd },
    }));
    let uri = format!("postgresql://app:outside@outside.{}.svc:5432/postgres", space.name);
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "outside" },
        "stringData": { "uri": uri },
    }));
    let port = json!([{ "port": 5432 }]);
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "outside" },
        "spec": { "selector": labels, "ports": port },
    }));
    let pod = json!({
        "automountServiceAccountToken": false, "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "postgres", "image": settings().toolbox, "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", START],
            "securityContext": restricted_container(),
            "readinessProbe": {
                "exec": { "command": ["pg_isready", "--host=127.0.0.1", "--quiet"] },
                "periodSeconds": 2,
            },
            "volumeMounts": [
                { "name": "data", "mountPath": "/var/lib/postgresql" },
                { "name": "tmp", "mountPath": "/tmp" },
                { "name": "passwd", "mountPath": "/etc/passwd", "subPath": "passwd" },
            ],
        }],
        "volumes": [
            { "name": "tmp", "emptyDir": {} },
            { "name": "passwd", "configMap": { "name": "outside" } },
        ],
    });
    space.apply(&json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "outside" },
        "spec": {
            "replicas": 1, "serviceName": "outside", "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": "1Gi" } },
                },
            }],
        },
    }));
    space.ok(&["rollout", "status", "statefulset/outside", "--timeout=120s"]);
}

/// Shows: the values for high availability run on a Postgres outside, three centrals on three
/// nodes. With the database gone all become not ready and say why, in /readyz and in their log;
/// they are live all the while and are never restarted; they come back by themselves when it does,
/// and know what they knew.
#[test]
fn without_its_database_central_waits() {
    let space = Space::new("database");
    outside(&space);
    let values = [
        "helm/peral/values-ha.yaml",
        "database.external.existingSecret=outside",
        "peer.replicas=1",
    ];
    let release = Release::install(&space, &values);
    let file = noise_file("database", 4 << 20);
    release.upload(0, &file, "database/a.bin");
    let centrals = release.ready("central", 3);
    let nodes: BTreeSet<_> = centrals.iter().map(|pod| &pod.node).collect();
    assert!(
        nodes.len() == 3 || space.get("nodes")["items"].as_array().unwrap().len() < 3,
        "they share a node: {centrals:?}"
    );

    let begin = Instant::now();
    space.ok(&["scale", "statefulset/outside", "--replicas=0"]);
    eventually("no central is ready", Duration::from_secs(90), || {
        release.pods("central").iter().all(|pod| !pod.ready)
    });
    for pod in &centrals {
        let page = release.admin(&pod.name, "/readyz");
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.body.contains("database"), "/readyz does not say what is missing: {page:?}");
        assert_eq!(release.admin(&pod.name, "/livez").status, 200);
        let log = release.log(&pod.name);
        assert!(
            log.lines().any(|line| line.contains("no longer ready") && line.contains("database")),
            "its log does not say so:\n{log}"
        );
    }
    // A peer serves without central, so it stays ready; what needs central says so.
    assert!(release.pod("peral-peer-0").unwrap().ready);
    assert_eq!(release.said(0, &["search", "a.bin"]).failed(), "UNAVAILABLE");
    eventually("the database was away for long enough", AWAY * 2, || begin.elapsed() > AWAY);

    space.ok(&["scale", "statefulset/outside", "--replicas=1"]);
    let back = Instant::now();
    let after = release.ready("central", 3);
    figure(
        "database.back",
        json!({ "seconds_until_all_centrals_are_ready": back.elapsed().as_secs_f64() }),
    );
    for (before, after) in centrals.iter().zip(&after) {
        assert_eq!((&after.uid, after.restarts), (&before.uid, 0), "central was restarted");
    }
    assert_eq!(release.sources(0, "database/a.bin", 1)["hash"], *b3sum(&file));
    assert_eq!(
        release.peral(0, &["download", "database/a.bin", "--to", "/peral/files/again.bin"])["hash"],
        *b3sum(&file)
    );
}

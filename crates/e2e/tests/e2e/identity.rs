//! Pods that show central a token which does not let them in.

use serde_json::{Value, json};

use crate::harness::{
    PATIENCE, Release, Space, client_label, eventually, restricted, restricted_container, settings,
};

/// A pod that tries to be a peer of the release in `network`, with a token of its own namespace.
fn intruder(space: &Space, name: &str, network: &Space, account: &str, audience: &str) {
    let env = |name: &str, value: &str| json!({ "name": name, "value": value });
    let central = format!("https://peral-central.{}.svc:7070", network.name);
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": client_label("peral") },
        "spec": {
            "serviceAccountName": account, "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0, "restartPolicy": "Never",
            "securityContext": restricted(),
            "containers": [{
                "name": "peer", "image": settings().image, "imagePullPolicy": "IfNotPresent",
                "args": ["peer"],
                "securityContext": restricted_container(),
                "env": [
                    env("PERAL_DATA", "/peral/data"), env("PERAL_SHARE", "/peral/files"),
                    env("PERAL_CA_FILE", "/etc/peral/ca/ca.pem"),
                    env("PERAL_CENTRAL", &central),
                    env("PERAL_POD_TOKEN_FILE", "/var/run/secrets/peral/token"),
                    env("PERAL_PEER_LABEL", name),
                    {
                        "name": "PERAL_ADVERTISE",
                        "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } },
                    },
                ],
                "volumeMounts": [
                    { "name": "peral", "mountPath": "/peral" },
                    { "name": "ca", "mountPath": "/etc/peral/ca" },
                    { "name": "token", "mountPath": "/var/run/secrets/peral" },
                ],
            }],
            "volumes": [
                { "name": "peral", "emptyDir": {} },
                { "name": "ca", "configMap": { "name": "peral-ca" } },
                { "name": "token", "projected": { "sources": [
                    {
                        "serviceAccountToken": {
                            "path": "token", "audience": audience, "expirationSeconds": 3600,
                        },
                    },
                ] } },
            ],
        },
    }));
}

/// Waits until central's log has a line with all of these words, and gives it.
fn refused(release: &Release<'_>, words: &[&str]) -> String {
    let central = release.central().name;
    eventually(&format!("central's log says {words:?}"), PATIENCE, || {
        let log = release.log(&central);
        log.lines()
            .find(|line| words.iter().all(|word| line.contains(word)))
            .inspect(|line| println!("{line}"))
            .map(str::to_owned)
    })
}

/// Shows: a token of another service account, of the same account in another namespace, and for
/// another audience: each is refused, and central's log says which; none becomes a peer; the pod
/// says why it is not ready, and does not end.
#[test]
fn tokens_of_others_are_refused_and_named() {
    let (space, other) = (Space::new("tokens"), Space::new("tokens-other"));
    let abroad = format!("networkPolicy.clientNamespaces={{{}}}", other.name);
    let release = Release::install(&space, &["peer.replicas=1", &abroad]);
    let authority = space.get("configmap/peral-ca")["data"].clone();
    other.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "peral-ca" },
        "data": authority,
    }));
    other.apply(&json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "peral-peer" },
    }));
    let audience = format!("peral.{}.peral", space.name);

    intruder(&space, "other-account", &space, "default", &audience);
    intruder(&other, "other-namespace", &space, "peral-peer", &audience);
    let elsewhere = "https://elsewhere.example.org";
    intruder(&space, "other-audience", &space, "peral-peer", elsewhere);

    refused(&release, &[&format!("system:serviceaccount:{}:default", space.name)]);
    refused(&release, &[&format!("system:serviceaccount:{}:peral-peer", other.name)]);
    refused(&release, &["audiences", elsewhere]);
    let peers = release.peers(0);
    assert_eq!(peers.len(), 1, "{peers:#?}");
    for (space, name) in
        [(&space, "other-account"), (&other, "other-namespace"), (&space, "other-audience")]
    {
        let pod = space.get(&format!("pod/{name}"));
        assert_eq!(pod["status"]["phase"], "Running", "it ended: {}", pod["status"]);
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], Value::from(0));
        let log = space.ok(&["logs", name]);
        assert!(
            log.contains("UNAUTHENTICATED") || log.contains("FORBIDDEN") || log.contains("refused"),
            "{name} does not say why:\n{log}"
        );
    }
}

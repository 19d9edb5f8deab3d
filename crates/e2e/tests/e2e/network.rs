//! Who reaches whom.

use serde_json::json;

use crate::harness::{Release, Space, Toolbox, client_label, noise_file};

/// Shows: from a pod without labels every port of central, of a peer and of the database is shut;
/// the client label opens the two that clients need, and no other; in another namespace the label
/// opens nothing.
#[test]
fn from_a_pod_without_labels_every_port_is_shut() {
    let (space, other) = (Space::new("closed"), Space::new("closed-other"));
    let release = Release::install(&space, &["helm/peral/values-postgres.yaml", "peer.replicas=1"]);
    let (central, peer) = (release.central().ip, release.pod("peral-peer-0").unwrap().ip);
    let database = release.pod("peral-postgres-0").unwrap().ip;
    let service = format!("peral-central.{}.svc", space.name);
    let tries = [
        (&service, 7070),
        (&central, 7070),
        (&central, 7079),
        (&peer, 7071),
        (&peer, 7072),
        (&peer, 7079),
        (&database, 5432),
    ];
    let ports: Vec<_> = tries.iter().map(|(host, port)| ((*host).clone(), *port)).collect();

    let stranger = Toolbox::start(&space, "stranger", &json!({}), None);
    let client = Toolbox::start(&space, "client", &client_label("peral"), None);
    let abroad = Toolbox::start(&other, "abroad", &client_label("peral"), None);
    assert_eq!(client.reaches(&ports), [(service, 7070), (central, 7070), (peer, 7071)]);
    assert_eq!(stranger.reaches(&ports), []);
    assert_eq!(abroad.reaches(&ports), []);
}

/// Shows: two releases called alike, in two namespaces, are two networks: neither sees the other's
/// files or peers, and a peer that is sent to the other's central is not let in.
#[test]
fn a_second_release_sees_nothing_of_the_first() {
    let (space, other) = (Space::new("first"), Space::new("second"));
    let first = Release::install(&space, &["peer.replicas=1"]);
    let second = Release::install(&other, &["peer.replicas=1"]);
    first.upload(0, &noise_file("two", 3 << 20), "only/here.bin");
    assert_eq!(first.sources(0, "only/here.bin", 1)["sources"], 1);

    assert_eq!(second.peral(0, &["search", "here"])["items"], json!([]));
    assert_eq!(second.peral(0, &["ls"])["items"], json!([]));
    assert_eq!(second.said(0, &["download", "only/here.bin"]).failed(), "NOT_FOUND");
    let (ours, theirs) = (first.peers(0), second.peers(0));
    assert_eq!((ours.len(), theirs.len()), (1, 1), "{ours:?} {theirs:?}");
    assert_ne!(ours[0]["id"], theirs[0]["id"]);
    let authority = |space: &Space| space.get("configmap/peral-ca")["data"]["ca.pem"].clone();
    assert_ne!(authority(&space), authority(&other), "each network has an authority of its own");
}

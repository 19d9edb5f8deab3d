//! What becomes of a peer whose pod goes and comes.

use std::time::Duration;

use serde_json::json;

use crate::harness::{PATIENCE, Release, Space, b3sum, figure, noise_file};

/// Three peers that end one after another, each with its grace.
const DOWN: Duration = Duration::from_secs(120);

/// Shows: the pod that comes in place of a deleted one has a new IP and is the same peer with the
/// same files; it fetched and hashed nothing again; a download that was running from it goes on by
/// the new address and ends well.
#[test]
fn a_deleted_pod_comes_back_as_the_same_peer() {
    let space = Space::new("life");
    let release = Release::install(&space, &["peer.replicas=2", "peer.uploadRate=6M"]);
    let file = noise_file("life", 96 << 20);
    release.upload(1, &file, "life/a.bin");
    let (before, pod) = (release.status(1), release.pod("peral-peer-1").unwrap());

    let mut download = release.begin(0, &["download", "life/a.bin", "--wait", "300"]);
    download.moved_within(PATIENCE, 8 << 20);
    // So short a grace ends the process in the middle: what was to be sent is not sent to its end
    // first.
    space.ok(&["delete", "pod/peral-peer-1", "--grace-period=2", "--wait=false"]);
    let again = release.replaced(&pod);
    assert_ne!(
        again.ip, pod.ip,
        "the cluster gave the same address again, so that this shows nothing"
    );

    let said = download.finish_within(PATIENCE).ok();
    assert_eq!(said["hash"], *b3sum(&file));
    let after = release.status(1);
    assert_eq!(after["peer"], before["peer"]);
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64(), "{before} {after}");
    assert_eq!((&after["files"], &after["received"]), (&before["files"], &0.into()), "{after}");
    let metrics = release.metrics("peral-peer-1");
    assert!(
        metrics.sum("peral_index_hashed_bytes_total", &[]) < 1.0,
        "the restarted peer hashed its files again"
    );
    assert!(
        after["sent"].as_u64().unwrap() > 0,
        "the rest came from the pod's new address: {after}"
    );
    let row = release.listed(0, "peral-peer-1", "ready");
    assert_eq!(
        (&row["id"], &row["address"]),
        (&before["peer"], &format!("{}:7071", again.ip).into())
    );
    assert_eq!(release.peers(0).len(), 2, "no third peer came of it");
    assert_eq!(release.b3sum(0, "a.bin"), b3sum(&file));
}

/// Shows: peers 2 → 5 → 2 by `helm upgrade`; each new one joins by itself and fetches; those that
/// go say so, so that nobody waits for their leases; what only the remaining ones hold stays there.
#[test]
fn peers_are_scaled_up_and_down() {
    let space = Space::new("scale");
    let mut release = Release::install(&space, &["peer.replicas=2"]);
    let file = noise_file("scale", 16 << 20);
    release.upload(0, &file, "scale/a.bin");
    let image = crate::harness::settings().image.clone();

    let up = release.upgrade(&image, &["peer.replicas=5"]).finish_within(PATIENCE).success();
    release.ready("peer", 5);
    for peer in [2, 4] {
        release.listed(0, &format!("peral-peer-{peer}"), "ready");
        assert_eq!(release.peral(peer, &["download", "scale/a.bin"])["hash"], *b3sum(&file));
    }
    release.sources(1, "scale/a.bin", 3);

    let down = release.upgrade(&image, &["peer.replicas=2"]).finish_within(DOWN).success();
    release.ready("peer", 2);
    release.sources(1, "scale/a.bin", 1);
    for peer in 2..5 {
        release.listed(0, &format!("peral-peer-{peer}"), "away");
    }
    assert_eq!(release.peral(1, &["download", "scale/a.bin"])["hash"], *b3sum(&file));
    figure(
        "scale",
        json!({
            "up_2_to_5_seconds": up.took.as_secs_f64(),
            "down_5_to_2_seconds": down.took.as_secs_f64(),
        }),
    );
}

//! Central and peers go away under running downloads.

use std::time::Instant;

use serde_json::json;

use crate::{
    application::Application,
    harness::{Admin, PATIENCE, Release, Space, b3sum, eventually, figure, noise_file, settings},
};

/// Shows: central is killed, then another tag of central and of the peers is rolled out, and all
/// the while a file is being fetched by a pod that is not of the release, and by a peer. The pod
/// is not restarted and never fails, although the only source is, with another address; the peer is
/// restarted, and goes on with what it had accepted, although the command that asked for it is
/// gone.
#[test]
fn downloads_survive_killed_central_and_a_rollout_of_all() {
    let space = Space::new("rollout");
    let mut release = Release::install(&space, &["peer.replicas=2", "peer.uploadRate=4M"]);
    let file = noise_file("rollout", 200 << 20);
    let hash = b3sum(&file);
    release.upload(0, &file, "rollout/a.bin");
    Admin::log_in(&space).token_secret("application", "application");

    let begin = Instant::now();
    let application = Application::start(&space, "receiver", "application", "rollout/a.bin", 600);
    let mut accepted = release.begin(1, &["download", "rollout/a.bin", "--wait", "600"]);
    accepted.moved_within(PATIENCE, 2 << 20);
    application.moved(2 << 20);

    let killed = release.central();
    space.ok(&["delete", &format!("pod/{}", killed.name), "--grace-period=0", "--force"]);
    let back = eventually("central is there again", PATIENCE, || {
        release.pods("central").into_iter().find(|pod| pod.ready && pod.uid != killed.uid)
    });
    assert!(!accepted.ended(), "the peer's download ended with central: {}", accepted.err());
    figure("central.killed", json!({ "seconds_until_ready_again": begin.elapsed().as_secs_f64() }));

    let peers = release.ready("peer", 2);
    let had = release.status(1)["received"].as_u64().unwrap();
    assert!(had > 2 << 20);
    let rollout = release.upgrade(&settings().next, &[]);
    let rollout = rollout.finish_within(PATIENCE + PATIENCE).success();
    figure("rollout", json!({ "seconds": rollout.took.as_secs_f64() }));
    for peer in &peers {
        let now = release.replaced(peer);
        assert_eq!(now.restarts, 0, "{now:?}");
    }
    assert_ne!(release.ready("central", 1)[0].uid, back.uid, "central was not rolled out");

    assert_eq!(application.finished(), hash, "the pod has other bytes than were put in");
    assert_eq!(application.restarts(), 0);
    release.sources(0, "rollout/a.bin", 2);
    assert_eq!(
        release.b3sum(1, "a.bin"),
        hash,
        "the restarted peer has other bytes than were put in"
    );
    let status = release.status(1);
    let again = (status["received"].as_u64().unwrap() + had).saturating_sub(200 << 20);
    assert!(again <= 8 << 20, "of the {had} bytes that it had, it fetched {again} again: {status}");
    figure(
        "rollout.downloads",
        json!({
            "seconds": begin.elapsed().as_secs_f64(), "fetched_after_restart": status["received"],
        }),
    );
}

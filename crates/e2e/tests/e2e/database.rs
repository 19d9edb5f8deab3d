//! Two centrals on one Postgres, and what they do without it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Release, Space, b3sum, eventually, figure, noise_file};

/// How long the database is away at least: longer than it takes a kubelet to see that a pod is not live.
const AWAY: Duration = Duration::from_secs(45);

/// Shows: with the database gone, both centrals become not ready and say why, in /readyz and in their log; they are live all the while and are
/// never restarted; they come back by themselves when it does, and know what they knew.
#[test]
fn without_its_database_central_waits() {
    let space = Space::new("database");
    let release = Release::install(&space, &["helm/peral/values-postgres.yaml", "central.replicas=2", "peer.replicas=1"]);
    let file = noise_file("database", 4 << 20);
    release.upload(0, &file, "database/a.bin");
    let centrals = release.ready("central", 2);

    let begin = Instant::now();
    space.ok(&["scale", "statefulset/peral-postgres", "--replicas=0"]);
    eventually("no central is ready", Duration::from_secs(90), || release.pods("central").iter().all(|pod| !pod.ready).then_some(()));
    for pod in &centrals {
        let (status, page) = release.admin(&pod.name, "/readyz");
        assert_eq!(status, 503, "{page}");
        assert!(page.contains("database"), "/readyz does not say what is missing: {page}");
        assert_eq!(release.admin(&pod.name, "/livez").0, 200);
        let log = release.log(&pod.name);
        assert!(log.lines().any(|line| line.contains("no longer ready") && line.contains("database")), "its log does not say so:\n{log}");
    }
    // A peer serves without central, so it stays ready; what needs central says so.
    assert!(release.pod("peral-peer-0").unwrap().ready);
    assert_eq!(release.said(0, &["search", "a.bin"]).failed(), "UNAVAILABLE");
    eventually("the database was away for long enough", AWAY * 2, || (begin.elapsed() > AWAY).then_some(()));

    space.ok(&["scale", "statefulset/peral-postgres", "--replicas=1"]);
    let back = Instant::now();
    let after = release.ready("central", 2);
    figure("database.back", json!({ "seconds_until_both_centrals_are_ready": back.elapsed().as_secs_f64() }));
    for (before, after) in centrals.iter().zip(&after) {
        assert_eq!((&after.uid, after.restarts), (&before.uid, 0), "central was restarted");
    }
    assert_eq!(release.sources(0, "database/a.bin", 1)["hash"], *b3sum(&file));
    assert_eq!(release.peral(0, &["download", "database/a.bin", "--to", "/peral/files/again.bin"])["hash"], *b3sum(&file));
}

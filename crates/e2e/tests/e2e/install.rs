//! A first install, and the way of a real file through it.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Release, Space, Usage, b3sum, figure, run, settings};

/// Shows: the default values need nothing but an image; the chart's own test passes; a real file of
/// over 100 MB goes in on one peer by standard input and comes out on another, found by a part of
/// its name, with the BLAKE3 that another program finds on both ends.
#[test]
fn the_defaults_install_and_a_real_file_crosses() {
    let space = Space::new("defaults");
    let release = Release::defaults(&space);
    let pods = release.pods("");
    assert!(
        pods.len() >= 4 && pods.iter().all(|pod| pod.ready && pod.restarts == 0),
        "central and three peers: {pods:#?}"
    );

    let begin = Instant::now();
    run(space.helm(&["test", "peral", "--timeout", "120s"])).success();
    figure("helm.test", json!({ "seconds": begin.elapsed().as_secs_f64() }));
    let used = Usage::of(&space);
    figure(
        "install.defaults",
        json!({
            "seconds_until_all_ready": release.took.as_secs_f64(),
            "pods": pods.len(),
            "mib": used.mib,
            "cpu_seconds": used.cpu_seconds,
        }),
    );

    let file = &settings().file;
    let size = file.metadata().unwrap().len();
    assert!(size > 100_000_000, "{} has less than 100 MB", file.display());
    let (hash, crossed) = (b3sum(file), cross(&release, file));
    assert_eq!(crossed["hash"], *hash);
    assert_eq!(release.b3sum(2, "driver.so"), hash, "what lies on peer 2 is not what was put in");
    release.sources(1, "toolchain/driver.so", 2);
    the_other_commands(&release);
}

/// Uploads on peer 0, searches and downloads on peer 2.
fn cross(release: &Release<'_>, file: &Path) -> Value {
    let uploaded = release.upload(0, file, "toolchain/driver.so");
    let found = release.peral(2, &["search", "iver.s"]);
    assert_eq!(found["items"][0]["name"], "toolchain/driver.so", "{found}");
    assert_eq!(found["items"][0]["sources"], 1, "{found}");
    let downloaded = release.peral(2, &["download", "toolchain/driver.so"]);
    assert_eq!(
        downloaded["path"], "/peral/files/driver.so",
        "the working folder is the shared one"
    );
    assert_eq!(downloaded["hash"], uploaded["hash"]);
    assert!(downloaded["by"].as_str().unwrap().starts_with("peer "), "{downloaded}");
    let seconds = |said: &Value| said["seconds"].as_f64().unwrap();
    figure(
        "file.crossed",
        json!({
            "bytes": uploaded["size"], "upload_seconds": seconds(&uploaded),
            "download_seconds": seconds(&downloaded),
        }),
    );
    downloaded
}

/// What else people do by `kubectl exec`, without a login.
fn the_other_commands(release: &Release<'_>) {
    // A path of the pod that is in no share.
    let uploaded = release.peral(1, &["upload", "/usr/local/bin/peral", "--name", "bin/peral"]);
    assert_eq!(
        release.peral(0, &["download", "bin/peral", "--to", "/peral/files/got"])["hash"],
        uploaded["hash"]
    );

    let status = release.status(1);
    assert_eq!(status["state"], "ready", "{status}");
    assert!(status["files"].as_u64().unwrap() >= 1, "{status}");

    // The test of the chart had a peer of its own, which has left.
    let peers: Vec<_> =
        release.peers(0).into_iter().filter(|peer| peer["state"] != "away").collect();
    assert_eq!(peers.len(), 3, "{peers:#?}");
    for peer in &peers {
        let pod = release.pod(peer["label"].as_str().unwrap()).unwrap();
        assert_eq!(peer["address"], format!("{}:7071", pod.ip), "registered by the pod's address");
        assert_eq!(peer["node"], *pod.node, "central asked the cluster where the pod is");
        let node = release.space.get(&format!("node/{}", pod.node));
        let zone = &node["metadata"]["labels"]["topology.kubernetes.io/zone"];
        assert_eq!(peer["zone"], *zone.as_str().unwrap_or_default());
        assert_eq!((&peer["account"], &peer["state"]), (&json!("peers"), &json!("ready")));
    }

    let names = release.peral(2, &["ls"]);
    let names: Vec<_> = names["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"toolchain/driver.so") && names.contains(&"bin/peral"), "{names:?}");

    // On a terminal there is a bar; `script` stands for one.
    let line = format!(
        "kubectl -n {} exec -it peral-peer-1 -- peral download toolchain/driver.so --to \
         /peral/files/bar.so",
        release.space.name
    );
    let mut terminal = Command::new("script");
    let shown = run({
        terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        terminal
    });
    let shown = shown.success().out;
    assert!(
        shown.contains('\r') && shown.contains('█') && shown.contains("/s"),
        "there is no bar:\n{shown}"
    );

    let echo = release.peral(0, &["echo", "peral-peer-2", "--size", "16M"]);
    assert_eq!(echo["bytes"], 16 << 20, "{echo}");
    assert!(Duration::from_secs_f64(echo["seconds"].as_f64().unwrap()) < Duration::from_secs(60));
}

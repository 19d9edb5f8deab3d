//! The benchmark of a whole cluster: ten peers download one file of 1 GiB. `make e2e-bench` runs it.
//!
//! It takes minutes and 10 GiB of disk. Its figures are the time until all peers have the file, the
//! CPU time, and the bytes that cross zones: the baseline for downloads from peers that have only
//! part of the file.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

#[expect(dead_code, unused_imports, reason = "the tests beside it use the rest")]
mod harness;

use std::time::{Duration, Instant};

use peral_testkit::metrics::Metrics;
use serde_json::json;

use harness::{PATIENCE, Release, Space, Usage, b3sum, figure, noise_file};

const SIZE: usize = 1 << 30;
const PEERS: usize = 10;

fn main() {
    let space = Space::new("ten");
    let release = Release::install(&space, &["peer.replicas=10"]);
    release.ready("peer", PEERS);
    let file = noise_file("ten", SIZE);
    let begin = Instant::now();
    release.upload(0, &file, "ten/a.bin");
    figure("ten.upload", json!({ "seconds": begin.elapsed().as_secs_f64(), "bytes": SIZE }));

    let (begin, before) = (Instant::now(), Usage::of(&space).cpu_seconds);
    let downloads: Vec<_> = (1..PEERS)
        .map(|peer| release.begin(peer, &["download", "ten/a.bin", "--wait", "600"]))
        .collect();
    let hash = b3sum(&file);
    let mut seconds: Vec<f64> = Vec::new();
    for download in downloads {
        let said = download.finish_within(PATIENCE * 5).ok();
        assert_eq!(said["hash"], *hash);
        seconds.push(said["seconds"].as_f64().unwrap());
    }
    let wall = begin.elapsed();
    // The kubelets update their CPU figures about every ten seconds.
    std::thread::sleep(Duration::from_secs(20));
    let used = Usage::of(&space).cpu_seconds - before;
    let pages: Vec<Metrics> =
        (0..PEERS).map(|peer| release.metrics(&format!("peral-peer-{peer}"))).collect();
    let received = |zone: &str| {
        pages
            .iter()
            .map(|page| page.sum("peral_transfer_received_bytes_total", &[zone]))
            .sum::<f64>()
    };
    let sent: Vec<_> =
        pages.iter().map(|page| page.sum("peral_transfer_sent_bytes_total", &[])).collect();
    figure(
        "ten.download",
        json!({
            "peers": PEERS - 1,
            "bytes_each": SIZE,
            "seconds": wall.as_secs_f64(),
            "seconds_each": seconds,
            "cpu_seconds": used,
            "bytes_received": received(""),
            "bytes_from_other_zones": received("nearness=\"other-zone\""),
            "bytes_sent_by_peer": sent,
        }),
    );
    release.sources(0, "ten/a.bin", u64::try_from(PEERS).unwrap());
}

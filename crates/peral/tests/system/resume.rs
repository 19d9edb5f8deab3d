//! Downloads that are interrupted: by `kill -9`, by Ctrl-C, by a cancel; and that go on.

use peral_testkit::{
    eventually,
    sample::{hash_of, noise_file},
};

use crate::network::{Network, Node, User};

const SIZE: u64 = 40 << 20;
/// What may be fetched again after a kill.
const AGAIN: u64 = 4 << 20;

/// A network with a file on one peer that sends slowly, and its hash.
fn slow(network: &Network) -> (User, Node, String) {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (network.user("ana"), network.peer("one", "peers", &["--upload-rate", "12M"]));
    let hash = noise_file(&one.share.join("big.bin"), "big", usize::try_from(SIZE).unwrap());
    network.sources("big.bin", 1);
    (ana, one, hash)
}

#[test]
fn a_killed_command_goes_on_where_it_was() {
    let network = Network::start(None);
    let (ana, _one, hash) = slow(&network);
    let target = network.path("fetched.bin");
    let args = ["download", "big.bin", "-o", target.to_str().unwrap()];
    let mut done = 0;
    for part in [8 << 20, 20 << 20] {
        let mut running = network.begin(&ana, None, &args);
        done = running.moved(part).max(done);
        running.kill();
        assert!(!target.exists(), "nothing is in place before the end");
    }
    let last = network.ok(&ana, &args);
    assert_eq!(hash_of(&target), hash);
    let fetched = last["fetched"].as_u64().unwrap();
    assert!(fetched <= SIZE - done + AGAIN, "{fetched} bytes were fetched after {done} were there");
}

#[test]
fn an_interrupted_command_says_how_to_go_on_and_goes_on() {
    let network = Network::start(None);
    let (ana, _one, hash) = slow(&network);
    let target = network.path("fetched.bin");
    let args = ["download", "big.bin", "-o", target.to_str().unwrap()];
    let mut running = network.begin(&ana, None, &args);
    running.moved(8 << 20);
    running.signal("INT");
    let said = running.finish();
    assert_eq!((said.code, said.failed().as_str()), (Some(130), "CANCELLED"));
    assert!(said.out.contains("the same command continues"), "{said:?}");
    assert!(!target.exists());
    let fetched = network.ok(&ana, &args)["fetched"].as_u64().unwrap();
    assert!(fetched < SIZE, "{fetched}");
    assert_eq!(hash_of(&target), hash);
}

#[test]
fn a_killed_peer_goes_on_by_itself() {
    let network = Network::start(None);
    let (ana, _one, hash) = slow(&network);
    let mut two = network.peer("two", "peers", &[]);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, Some(&two), &["download", "big.bin", "-o", target.to_str().unwrap()]);
    let done = running.moved(8 << 20);
    two.process.kill();
    let said = running.finish();
    assert_eq!((said.code, said.failed().as_str()), (Some(9), "UNAVAILABLE"));
    assert!(!target.exists());
    let two = network.restart(two, &[]);
    eventually("the file is there", || target.exists());
    assert_eq!(hash_of(&target), hash);
    network.sources("big.bin", 2);
    let received = network.at(&two, &ana, &["status"]).ok()["received"].as_u64().unwrap();
    assert!(
        received <= SIZE - done + AGAIN,
        "{received} bytes were received after {done} were there"
    );
}

#[test]
fn a_download_of_a_peer_outlives_its_command_until_it_is_cancelled() {
    let network = Network::start(None);
    let (ana, _one, hash) = slow(&network);
    let two = network.peer("two", "peers", &[]);
    let start = |name: &str| {
        let target = network.path(name);
        let mut running = network.begin(
            &ana,
            Some(&two),
            &["download", "big.bin", "-o", target.to_str().unwrap()],
        );
        running.moved(4 << 20);
        running.signal("INT");
        let said = running.finish();
        assert_eq!((said.code, said.failed().as_str()), (Some(130), "CANCELLED"));
        assert!(said.out.contains("the local peer continues the download"), "{said:?}");
        let jobs = network.at(&two, &ana, &["status"]).ok()["jobs"].clone();
        let job = jobs
            .as_array()
            .unwrap()
            .iter()
            .find(|job| job["path"] == target.to_str().unwrap())
            .unwrap_or_else(|| panic!("{jobs}"))
            .clone();
        let job = job["job"].as_str().unwrap().to_owned();
        assert!(said.out.contains(&job), "{said:?}");
        (target, job)
    };
    let (kept, _) = start("kept.bin");
    eventually("the file is there", || kept.exists());
    assert_eq!(hash_of(&kept), hash);
    let (cancelled, job) = start_again(&network, &ana, &two);
    network.at(&two, &ana, &["cancel", &job]).ok();
    eventually("the job is gone", || {
        let jobs = network.at(&two, &ana, &["status"]).ok()["jobs"].clone();
        jobs.as_array().unwrap().iter().all(|one| one["job"] != job.as_str())
    });
    assert!(!cancelled.exists());
    assert_eq!(network.at(&two, &ana, &["cancel", &job]).failed(), "NOT_FOUND");
}

/// A second download of the same file would be copied from the first: this one is of another.
fn start_again(network: &Network, ana: &User, two: &Node) -> (std::path::PathBuf, String) {
    let source = network.path("other.bin");
    noise_file(&source, "other", usize::try_from(SIZE).unwrap());
    network.ok(ana, &["upload", source.to_str().unwrap(), "--name", "other.bin", "--peer", "one"]);
    let target = network.path("cancelled.bin");
    let mut running =
        network.begin(ana, Some(two), &["download", "other.bin", "-o", target.to_str().unwrap()]);
    running.moved(4 << 20);
    running.kill();
    let jobs = network.at(two, ana, &["status"]).ok()["jobs"].clone();
    let job = jobs
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["path"] == target.to_str().unwrap())
        .unwrap_or_else(|| panic!("{jobs}"))
        .clone();
    (target, job["job"].as_str().unwrap().to_owned())
}

#[test]
fn an_interrupted_upload_goes_on_where_the_peer_has_it() {
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) =
        (network.user("ana"), network.peer("one", "peers", &["--download-rate", "12M"]));
    let source = network.path("big.bin");
    let hash = noise_file(&source, "upload", usize::try_from(SIZE).unwrap());
    let args = ["upload", source.to_str().unwrap()];
    let mut running = network.begin(&ana, None, &args);
    running.moved(12 << 20);
    running.kill();
    let before = network.at(&one, &ana, &["status"]).ok()["received"].as_u64().unwrap();
    let up = network.ok(&ana, &args);
    assert_eq!(up["hash"], hash);
    let after = network.at(&one, &ana, &["status"]).ok()["received"].as_u64().unwrap();
    assert!(
        before >= 4 << 20 && after - before < SIZE - (4 << 20),
        "{before} bytes were there, {} more came",
        after - before
    );
}

/// What a download promises about kills: 1 GiB, held at 50 MB/s by its sender, killed 20 times at
/// random.
#[test]
fn a_command_killed_twenty_times_finishes_and_fetches_little_again() {
    const GIB: u64 = 1 << 30;
    let network = Network::start(None);
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) =
        (network.user("ana"), network.peer("one", "peers", &["--upload-rate", "50000000"]));
    let hash = noise_file(&one.share.join("big.bin"), "gib", usize::try_from(GIB).unwrap());
    network.sources("big.bin", 1);
    let target = network.path("fetched.bin");
    let args = ["download", "big.bin", "-o", target.to_str().unwrap()];
    let sent = || network.at(&one, &ana, &["status"]).ok()["sent"].as_u64().unwrap();
    // What the sender has sent, less what the receiver still had when it began again.
    let (mut again, mut worst, mut before) = (0, 0, 0);
    for kill in 1..=20 {
        let mut running = network.begin(&ana, None, &args);
        let start = eventually("pieces come", || moving(&running.err()));
        worst = worst.max((before - start).saturating_sub(again));
        again = again.max(before - start);
        let enough = sent() + 1 + uuid::Uuid::new_v4().as_u64_pair().1 % (40 << 20);
        before = eventually("more pieces come", || Some(sent()).filter(|sent| *sent >= enough));
        running.kill();
        before = before.max(sent());
        assert!(!target.exists());
        eprintln!("kill {kill:2}: started from {start}, {again} bytes sent again so far");
    }
    network.ok(&ana, &args);
    assert_eq!(hash_of(&target), hash);
    again = sent() - GIB;
    eprintln!(
        "finished and equal; {again} bytes sent again in all, at most {worst} after one kill"
    );
    assert!(
        worst <= AGAIN && again <= 20 * AGAIN,
        "{worst} bytes were fetched again after a kill, {again} in all"
    );
}

/// What was there when pieces began to come.
fn moving(events: &str) -> Option<u64> {
    let events =
        events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    // The first event that is seen may count pieces that have come since.
    events
        .filter(|event| event["phase"] == "moving")
        .find_map(|event| Some(event["done"].as_u64()? - event["fetched"].as_u64()?))
}

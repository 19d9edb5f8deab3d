//! How a peer ends: not ready, leaving, what runs goes on for a while, logged out; and what others
//! make of it.

use std::fs;

use peral_testkit::{
    eventually, net,
    sample::{hash_of, noise_file},
};

use crate::network::{Network, Node, User};

const SIZE: u64 = 30 << 20;

fn slow(network: &Network, rate: &str, flags: &[&str]) -> (User, Node, String) {
    network.ok(&network.admin, &["user", "add", "peers", "--no-password"]);
    let (ana, one) = (
        network.user("ana"),
        network.peer("one", "peers", &[&["--upload-rate", rate][..], flags].concat()),
    );
    let hash = noise_file(&one.share.join("big.bin"), "big", usize::try_from(SIZE).unwrap());
    network.sources("big.bin", 1);
    (ana, one, hash)
}

#[test]
fn a_peer_that_ends_is_not_ready_then_leaving_then_away_and_its_streams_end_first() {
    let network = Network::start(None);
    let admin = net::free_address().to_string();
    let (ana, mut one, hash) = slow(&network, "8M", &["--admin-listen", &admin]);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, None, &["download", "big.bin", "-o", target.to_str().unwrap()]);
    running.moved(6 << 20);
    let readiness = || net::get(&admin, "/readyz").unwrap();
    assert_eq!(readiness().status, 200);
    one.process.signal("TERM");
    let said =
        eventually("it is not ready", || Some(readiness()).filter(|said| said.status == 503));
    assert!(said.body.contains("draining"), "{said:?}");
    eventually("central knows that it leaves", || network.state(&one.id) == "leaving");
    assert!(!one.process.ended(), "a stream runs");
    assert_eq!(one.process.wait().code(), Some(0), "{}", one.process.err());
    assert!(!one.process.err().contains("are aborted"), "{}", one.process.err());
    assert_eq!(network.state(&one.id), "away");
    let one = network.restart(one, &[]);
    assert_eq!(running.finish().ok()["fetched"], SIZE);
    assert_eq!(hash_of(&target), hash);
    drop(one);
}

#[test]
fn a_receiver_whose_only_source_restarts_waits_for_it() {
    let network = Network::start(None);
    let (ana, one, hash) = slow(&network, "8M", &["--drain-seconds", "1"]);
    let two = network.peer("two", "peers", &[]);
    let (own, by_peer) = (network.path("own.bin"), network.path("by-peer.bin"));
    let mut first =
        network.begin(&ana, None, &["download", "big.bin", "-o", own.to_str().unwrap()]);
    let mut second =
        network.begin(&ana, Some(&two), &["download", "big.bin", "-o", by_peer.to_str().unwrap()]);
    first.moved(3 << 20);
    second.moved(3 << 20);
    let mut one = one;
    assert_eq!(one.process.terminate().code(), Some(0));
    eventually("both wait", || {
        [&first, &second].iter().all(|running| running.err().contains("\"waiting\""))
    });
    // It comes back at another port.
    let one = network.restart(one, &[]);
    for (running, path) in [(first, own), (second, by_peer)] {
        let said = running.finish();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(hash_of(&path), hash);
    }
    drop(one);
}

#[test]
fn a_receiver_goes_on_from_another_source_when_one_ends() {
    let network = Network::start(None);
    let (ana, mut one, hash) = slow(&network, "8M", &["--drain-seconds", "0"]);
    let two = network.peer("two", "peers", &["--upload-rate", "4M"]);
    fs::copy(one.share.join("big.bin"), two.share.join("big.bin")).unwrap();
    network.sources("big.bin", 2);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, None, &["download", "big.bin", "-o", target.to_str().unwrap()]);
    running.moved(1);
    one.process.terminate();
    assert_eq!(running.finish().ok()["hash"], hash);
    assert_eq!(hash_of(&target), hash);
    drop(two);
}

#[test]
fn a_peer_ends_in_time_while_central_is_away_and_a_transfer_runs() {
    let mut network = Network::start(None);
    // So slow that the transfer would outlast the patience of this test by far.
    let (ana, mut one, _hash) = slow(&network, "100000", &["--drain-seconds", "2"]);
    let target = network.path("fetched.bin");
    let mut running =
        network.begin(&ana, None, &["download", "big.bin", "-o", target.to_str().unwrap()]);
    running.moved(1);
    network.central.kill();
    assert_eq!(one.process.terminate().code(), Some(0), "{}", one.process.err());
    assert!(!one.data.join("peral.sock").exists());
    running.kill();
    assert!(!target.exists(), "the peer did not wait for the transfer");
}
